// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package work is the loop of every controller: names of objects enter a queue, one worker at a
// time reconciles each, and it retries failures later and later. No namespace gets more than a
// quarter of the workers at a time, so that a slow one delays no other.
package work

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Queue holds the names of objects to reconcile, each once.
type Queue struct {
	workqueue.TypedRateLimitingInterface[cache.ObjectName]
	// kind is what logs call the objects, such as virtualCluster.
	kind string
}

// A Pass looks at the object of a name. It is made again after the time
// returned, where that is more than zero, and after an error.
type Pass func(ctx context.Context, name cache.ObjectName) (again time.Duration, err error)

// NewQueue returns the queue of the named controller. What fails is tried
// again after retryFirst, then after twice as long, and so on up to retryLast, by
// this clock.
func NewQueue(controller, kind string, retryFirst, retryLast time.Duration, clock clock.WithTicker) *Queue {
	return &Queue{kind: kind, TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](retryFirst, retryLast),
		workqueue.TypedRateLimitingQueueConfig[cache.ObjectName]{Name: controller, Clock: clock})}
}

// AddObject adds the name of an object, or of one that an informer says is gone.
func (q *Queue) AddObject(object any) {
	name, err := cache.DeletionHandlingObjectToName(object)
	if err != nil {
		utilruntime.HandleError(err)
		return
	}
	q.Add(name)
}

// Run waits for the caches and works until ctx ends; passes that have begun are
// finished. It runs once.
func (q *Queue) Run(ctx context.Context, workers int, pass Pass, synced ...cache.InformerSynced) {
	defer utilruntime.HandleCrash()
	defer q.ShutDown()
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return
	}
	share := newShare(workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for q.next(ctx, share, pass) {
			}
		})
	}
	<-ctx.Done()
	q.ShutDown()
	group.Wait()
}

// next makes one pass, unless the namespace has its share. It returns false when there
// are to be no more.
func (q *Queue) next(ctx context.Context, share *share, pass Pass) bool {
	name, quit := q.Get()
	if quit {
		return false
	}
	defer q.Done(name)
	if !share.enter(name) {
		return true
	}
	defer func() {
		if waited, some := share.leave(name); some {
			q.Add(waited)
		}
	}()
	logger := klog.LoggerWithValues(klog.FromContext(ctx), q.kind, klog.KRef(name.Namespace, name.Name))
	again, err := pass(klog.NewContext(ctx, logger), name)
	switch {
	case ctx.Err() != nil:
		// Whoever leads next makes this pass again.
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		// Somebody was quicker; the watch will tell, the retry is for when it told already.
		logger.V(2).Info("Out of date, trying again", "err", err)
		q.AddRateLimited(name)
	case err != nil:
		logger.Error(err, "Reconciling failed, trying again")
		q.AddRateLimited(name)
	default:
		q.Forget(name)
		if again > 0 {
			q.AddAfter(name, again)
		}
	}
	return true
}

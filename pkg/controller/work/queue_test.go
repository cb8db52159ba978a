// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
)

var name = cache.NewObjectName("team", "demo")

// TestPasses says when a pass is made again.
func TestPasses(t *testing.T) {
	resource := schema.GroupResource{Resource: "things"}
	for what, test := range map[string]struct {
		again  time.Duration
		err    error
		failed int
		queued bool
	}{
		"done":          {0, nil, 0, false},
		"again":         {time.Millisecond, nil, 0, true},
		"failed":        {0, errors.New("no answer"), 1, true},
		"out of date":   {0, apierrors.NewConflict(resource, "demo", nil), 1, true},
		"gone since":    {0, apierrors.NewNotFound(resource, "demo"), 1, true},
		"failed, again": {time.Hour, errors.New("no answer"), 1, true},
	} {
		t.Run(what, func(t *testing.T) {
			_, ctx := ktesting.NewTestContext(t)
			q := NewQueue("", "thing", time.Millisecond, time.Millisecond, clock.RealClock{})
			defer q.ShutDown()
			q.AddObject(cache.DeletedFinalStateUnknown{Key: "team/demo", Obj: &corev1.ConfigMap{}})
			q.next(ctx, newShare(1), func(_ context.Context, got cache.ObjectName) (time.Duration, error) {
				if got != name {
					t.Errorf("got %s, want %s", got, name)
				}
				return test.again, test.err
			})
			if got := q.NumRequeues(name); got != test.failed {
				t.Errorf("got %d failures, want %d", got, test.failed)
			}
			if !test.queued {
				if q.Len() > 0 {
					t.Error("it is in the queue again")
				}
				return
			}
			if got, quit := q.Get(); got != name || quit {
				t.Errorf("got %s, want it in the queue again", got)
			}
		})
	}
}

// TestClock steps the queue's clock, and wants what is due by it to be in the queue again.
func TestClock(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	clock := testclock.NewFakeClock(time.Now())
	q := NewQueue("", "thing", time.Hour, time.Hour, clock)
	defer q.ShutDown()
	for what, pass := range map[string]Pass{
		"again":  func(context.Context, cache.ObjectName) (time.Duration, error) { return time.Hour, nil },
		"failed": func(context.Context, cache.ObjectName) (time.Duration, error) { return 0, errors.New("no answer") },
	} {
		q.Add(name)
		q.next(ctx, newShare(1), pass)
		clock.Step(time.Hour)
		if got, quit := q.Get(); got != name || quit {
			t.Errorf("%s: got %s, want it in the queue again after an hour", what, got)
		}
		q.Done(name)
		q.Forget(name)
	}
}

// TestRunEnds after the passes that have begun, and before any where caches stay empty.
func TestRunEnds(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	q := NewQueue("", "thing", time.Millisecond, time.Millisecond, clock.RealClock{})
	q.AddObject(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo"}})
	finished := false
	q.Run(ctx, 2, func(ctx context.Context, _ cache.ObjectName) (time.Duration, error) {
		cancel()
		<-ctx.Done()
		finished = true
		return 0, ctx.Err()
	}, func() bool { return true })
	if !finished || q.NumRequeues(name) > 0 {
		t.Errorf("finished %v with %d failures, want a pass that is finished and counts for nothing", finished, q.NumRequeues(name))
	}
	NewQueue("", "thing", 0, 0, clock.RealClock{}).Run(ctx, 1, nil, func() bool { return false })
}

// TestOneNamespaceHoldsUpNoOther has every pass in a namespace hang, and wants those of
// another made, and those that waited made afterwards.
func TestOneNamespaceHoldsUpNoOther(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	q := NewQueue("", "thing", time.Millisecond, time.Millisecond, clock.RealClock{})
	const workers, slow = 8, 50
	for i := range slow {
		q.Add(cache.NewObjectName("slow", strconv.Itoa(i)))
	}
	q.Add(name)
	passed, others, release := make(chan cache.ObjectName, slow), make(chan struct{}), make(chan struct{})
	var hanging, most atomic.Int32
	var run sync.WaitGroup
	run.Go(func() {
		q.Run(ctx, workers, func(_ context.Context, name cache.ObjectName) (time.Duration, error) {
			if name.Namespace != "slow" {
				close(others)
				return 0, nil
			}
			most.Store(max(most.Load(), hanging.Add(1)))
			<-release
			hanging.Add(-1)
			passed <- name
			return 0, nil
		})
	})
	defer run.Wait()
	defer cancel()
	select {
	case <-others:
	case <-time.After(10 * time.Second):
		t.Error("the other namespace waits for the slow one")
	}
	close(release)
	seen := map[cache.ObjectName]bool{}
	for len(seen) < slow {
		select {
		case one := <-passed:
			seen[one] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d of %d passes of the slow namespace are made", len(seen), slow)
		}
	}
	if most.Load() > workers/shares {
		t.Errorf("the slow namespace had %d of %d workers, want at most %d", most.Load(), workers, workers/shares)
	}
}

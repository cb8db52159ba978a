// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// A failing object is tried again after firstRetry, then at twice the
	// interval each time, up to lastRetry.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second

	// What is held back at a breaker has a pass after heldPass all the same. It asks
	// the host nothing, and tells again why, before the last Event of it is forgotten.
	heldPass = 15 * time.Minute
)

// Reconciler makes one object what it should be.
type Reconciler interface {
	// Reconcile looks at the object of this name inside. A positive duration
	// asks for another pass after it; an error for one with back-off.
	Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error)
}

// Aged is a Reconciler that knows how old the object of a name is. The oldest of those
// that are held back has the first turn.
type Aged interface {
	Since(key types.NamespacedName) time.Time
}

// Controller works off the queue of one kind.
type Controller struct {
	name       string
	workers    int
	reconciler Reconciler
	metrics    *Metrics
	clock      clock.WithTicker
	queue      workqueue.TypedRateLimitingInterface[types.NamespacedName]
	synced     []cache.DoneChecker
	passing    keyLocks
	parking    parking
}

// ControllerOptions are what a Controller is made of.
type ControllerOptions struct {
	// Name is that of the kind in metrics and logs.
	Name string
	// Workers is how many passes run at the same time.
	Workers    int
	Reconciler Reconciler
	Metrics    *Metrics
	// Clock is what retries and later passes wait by.
	Clock clock.WithTicker
}

// NewController returns a controller that watches nothing yet.
func NewController(o ControllerOptions) *Controller {
	queue := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[types.NamespacedName]{Queue: newFairQueue(), Clock: o.Clock})
	return &Controller{
		name: o.Name, workers: o.Workers, reconciler: o.Reconciler, metrics: o.Metrics, clock: o.Clock,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, lastRetry),
			workqueue.TypedRateLimitingQueueConfig[types.NamespacedName]{
				DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(
					workqueue.TypedDelayingQueueConfig[types.NamespacedName]{Queue: queue, Clock: o.Clock}),
			}),
	}
}

// Enqueue asks for a pass over the object.
func (c *Controller) Enqueue(key types.NamespacedName) { c.queue.Add(key) }

// Watch asks for a pass over the objects that a change of an object of the
// informer concerns; keys names them. For an update it is called with the
// object before and after.
func (c *Controller) Watch(informer cache.SharedIndexInformer, keys func(object any) []types.NamespacedName) error {
	enqueue := c.enqueue(keys)
	return c.watch(informer, keys, func(before, after any) {
		enqueue(before)
		enqueue(after)
	})
}

// WatchEnds is Watch for objects that change often in what does not matter: it
// asks for a pass when one comes or goes.
func (c *Controller) WatchEnds(informer cache.SharedIndexInformer, keys func(object any) []types.NamespacedName) error {
	return c.watch(informer, keys, nil)
}

// WatchNew is Watch for what comes.
func (c *Controller) WatchNew(informer cache.SharedIndexInformer, keys func(object any) []types.NamespacedName) error {
	return c.handle(informer, cache.ResourceEventHandlerFuncs{AddFunc: c.enqueue(keys)})
}

// WatchGone is Watch for what goes.
func (c *Controller) WatchGone(informer cache.SharedIndexInformer, keys func(object any) []types.NamespacedName) error {
	return c.handle(informer, cache.ResourceEventHandlerFuncs{DeleteFunc: deleted(c.enqueue(keys))})
}

func (c *Controller) enqueue(keys func(object any) []types.NamespacedName) func(object any) {
	return func(object any) {
		for _, key := range keys(object) {
			c.queue.Add(key)
		}
	}
}

func (c *Controller) watch(informer cache.SharedIndexInformer, keys func(object any) []types.NamespacedName, updated func(before, after any)) error {
	enqueue := c.enqueue(keys)
	return c.handle(informer, cache.ResourceEventHandlerFuncs{AddFunc: enqueue, UpdateFunc: updated, DeleteFunc: deleted(enqueue)})
}

// deleted calls do with the last that is known of a deleted object.
func deleted(do func(object any)) func(object any) {
	return func(object any) {
		if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = unknown.Obj
		}
		do(object)
	}
}

func (c *Controller) handle(informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) error {
	registration, err := informer.AddEventHandler(handler)
	if err != nil {
		return fmt.Errorf("watch for %s: %w", c.name, err)
	}
	c.synced = append(c.synced, registration.HasSyncedChecker())
	return nil
}

// Run works until the context ends. Nothing is done before everything that the
// controller watches is known, lest an object that is merely not yet seen be taken for gone.
func (c *Controller) Run(ctx context.Context) {
	defer runtime.HandleCrashWithContext(ctx)
	logger := klog.LoggerWithName(klog.FromContext(ctx), c.name)
	ctx = klog.NewContext(ctx, logger)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer c.queue.ShutDown()
	if !cache.WaitFor(ctx, "", c.synced...) {
		return
	}
	for range c.workers {
		workers.Go(func() {
			for c.next(ctx) {
			}
		})
	}
	<-ctx.Done()
}

func (c *Controller) next(ctx context.Context) bool {
	key, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(key)
	// What comes of it is seen to.
	_ = c.Now(ctx, key)
	return true
}

// Now runs a pass over the object at once, for somebody who cannot wait. It runs
// beside no other pass over the object, and what fails is tried again as any.
func (c *Controller) Now(ctx context.Context, key types.NamespacedName) error {
	defer c.passing.lock(key)()
	start := c.clock.Now()
	again, err := c.pass(ctx, key)
	c.settle(ctx, key, again, err, c.clock.Since(start))
	return err
}

// settle sees to what comes of a pass.
func (c *Controller) settle(ctx context.Context, key types.NamespacedName, again time.Duration, err error, took time.Duration) {
	logger := klog.FromContext(ctx).WithValues("object", klog.KRef(key.Namespace, key.Name), "kind", c.name)
	held, onlyHeld := heldBy(err)
	c.park(key, held)
	switch {
	case err == nil:
		c.queue.Forget(key)
		if again > 0 {
			c.queue.AddAfter(key, again)
		}
		c.metrics.observe(c.name, "success", took, c.queue.Len())
	case ctx.Err() != nil:
		// Stopping: what is cut off is done by the next syncer.
	case onlyHeld:
		c.queue.Forget(key)
		wait := heldPass
		if len(failures(err)) > 0 {
			// The kind reports only what lasts.
			wait = failingPatience
		}
		c.queue.AddAfter(key, wait)
		c.metrics.observe(c.name, "held", took, c.queue.Len())
		logger.V(2).Info("Held back", "reason", err)
	case passes(err):
		// Somebody was faster, which is no fault: the change is on its way to the cache.
		c.queue.AddRateLimited(key)
		c.metrics.observe(c.name, "retry", took, c.queue.Len())
		logger.V(4).Info("Trying again", "reason", err)
	default:
		c.queue.AddRateLimited(key)
		c.metrics.observe(c.name, "error", took, c.queue.Len())
		if told := refusals(err); len(told) > 0 {
			// The tenant reads it in an Event; it is nothing that the operator has to see to.
			logger.V(2).Info("Refused", "message", told[0].message, "attempts", c.queue.NumRequeues(key))
			return
		}
		logger.Error(err, "Cannot sync", "attempts", c.queue.NumRequeues(key))
	}
}

// pass reconciles, and turns a panic over one object into an error of that object.
func (c *Controller) pass(ctx context.Context, key types.NamespacedName) (again time.Duration, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			runtime.HandleErrorWithContext(ctx, nil, "Panic while syncing", "kind", c.name, "object", key, "cause", cause)
			err = fmt.Errorf("%s %s: panic: %v", c.name, key, cause)
		}
	}()
	return c.reconciler.Reconcile(ctx, key)
}

// park has the passes that come to what is held back be run when it may be tried again.
func (c *Controller) park(key types.NamespacedName, held []*heldError) {
	by := waker{c, key}
	after := map[place]bool{}
	for _, each := range held {
		after[place{each.breaker, each.name}] = true
	}
	for left := range c.parking.change(key, after) {
		left.breaker.leave(left.name, by)
	}
	var since time.Time
	if aged, ok := c.reconciler.(Aged); ok && len(after) > 0 {
		since = aged.Since(key)
	}
	for at := range after {
		at.breaker.park(at.name, by, since)
	}
}

// place is where a pass waits.
type place struct {
	breaker *Breaker
	name    string
}

// parking knows where the passes over each object wait.
type parking struct {
	mu     sync.Mutex
	places map[types.NamespacedName]map[place]bool
}

// change takes down where the passes over an object wait now, and returns where they
// do no longer.
func (p *parking) change(key types.NamespacedName, to map[place]bool) (left map[place]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left = map[place]bool{}
	for before := range p.places[key] {
		if !to[before] {
			left[before] = true
		}
	}
	if p.places == nil {
		p.places = map[types.NamespacedName]map[place]bool{}
	}
	if len(to) == 0 {
		delete(p.places, key)
	} else {
		p.places[key] = to
	}
	return left
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Engine runs informers and controllers together.
type Engine struct {
	informers   []cache.SharedIndexInformer
	controllers []*Controller
	tasks       []func(context.Context)
	twins       []Recoverable
	lookers     map[string]lookerOf
	// running says that what the stores hold can be relied on.
	running atomic.Bool
}

// Recoverable is a Twin of any kind, for what is done when the data inside turn
// out to be others.
type Recoverable interface {
	Survey(ctx context.Context) (Survey, error)
	Recover(ctx context.Context, decision string) error
}

// AddTwins has the engine survey and recover the kinds.
func (e *Engine) AddTwins(twins ...Recoverable) { e.twins = append(e.twins, twins...) }

// Survey looks for host objects without a virtual object, and returns their kinds.
func (e *Engine) Survey(ctx context.Context) ([]Survey, error) {
	var found []Survey
	var errs []error
	for _, twin := range e.twins {
		one, err := twin.Survey(ctx)
		errs = append(errs, err)
		if one.Count > 0 {
			found = append(found, one)
		}
	}
	return found, errors.Join(errs...)
}

// Recover does with all orphans what somebody decided, which is one of the Recover verbs.
func (e *Engine) Recover(ctx context.Context, decision string) error {
	var errs []error
	for _, twin := range e.twins {
		errs = append(errs, twin.Recover(ctx, decision))
	}
	return errors.Join(errs...)
}

// AddInformers has the engine run the informers.
func (e *Engine) AddInformers(informers ...cache.SharedIndexInformer) {
	e.informers = append(e.informers, informers...)
}

// AddControllers has the engine run the controllers once all informers have synced.
func (e *Engine) AddControllers(controllers ...*Controller) {
	e.controllers = append(e.controllers, controllers...)
}

// AddTask has the engine run a function once all informers have synced.
func (e *Engine) AddTask(task func(context.Context)) {
	e.tasks = append(e.tasks, task)
}

// Stages are what Run waits for, and tells.
type Stages struct {
	// Settle is called once all informers have synced. Nothing is written before it
	// returns, and nothing at all when it fails.
	Settle func(ctx context.Context) error
	// Ready is closed when what the controllers depend on is in place inside.
	Ready <-chan struct{}
	// Started is called when the controllers run.
	Started func()
}

// Run works until the context ends, and returns when everything has stopped, with
// the error of Settle if that failed.
func (e *Engine) Run(ctx context.Context, stages Stages) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	checkers := make([]cache.DoneChecker, 0, len(e.informers))
	for _, informer := range e.informers {
		checkers = append(checkers, informer.HasSyncedChecker())
		group.Go(func() { informer.RunWithContext(ctx) })
	}
	if !cache.WaitFor(ctx, "", checkers...) {
		return ctx.Err()
	}
	if err := stages.Settle(ctx); err != nil {
		return err
	}
	select {
	case <-stages.Ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, controller := range e.controllers {
		group.Go(func() { controller.Run(ctx) })
	}
	for _, task := range e.tasks {
		group.Go(func() { task(ctx) })
	}
	klog.FromContext(ctx).Info("Syncing", "kinds", len(e.controllers))
	e.running.Store(true)
	stages.Started()
	<-ctx.Done()
	return ctx.Err()
}

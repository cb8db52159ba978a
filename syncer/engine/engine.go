// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"sync"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Engine runs informers and controllers together.
type Engine struct {
	informers   []cache.SharedIndexInformer
	controllers []*Controller
	tasks       []func(context.Context)
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

// Run works until the context ends, and returns when everything has stopped.
// The informers start at once; controllers and tasks wait until all informers
// have synced and ready is closed, and are announced by a call of started.
func (e *Engine) Run(ctx context.Context, ready <-chan struct{}, started func()) {
	var group sync.WaitGroup
	defer group.Wait()
	checkers := make([]cache.DoneChecker, 0, len(e.informers))
	for _, informer := range e.informers {
		checkers = append(checkers, informer.HasSyncedChecker())
		group.Go(func() { informer.RunWithContext(ctx) })
	}
	if !cache.WaitFor(ctx, "", checkers...) {
		return
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return
	}
	for _, controller := range e.controllers {
		group.Go(func() { controller.Run(ctx) })
	}
	for _, task := range e.tasks {
		group.Go(func() { task(ctx) })
	}
	klog.FromContext(ctx).Info("Syncing", "kinds", len(e.controllers))
	started()
	<-ctx.Done()
}

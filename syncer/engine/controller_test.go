// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	testingclock "k8s.io/utils/clock/testing"
)

// reconcilerFunc is a Reconciler.
type reconcilerFunc func(ctx context.Context, key types.NamespacedName) (time.Duration, error)

func (f reconcilerFunc) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	return f(ctx, key)
}

// running is a controller that runs until the end of the test.
func running(t *testing.T, clock *testingclock.FakeClock, reconcile reconcilerFunc) *Controller {
	t.Helper()
	controller := NewController(ControllerOptions{Name: "test", Workers: 4, Reconciler: reconcile, Metrics: NewMetrics(metrics.NewKubeRegistry()), Clock: clock})
	run(t, controller)
	return controller
}

// run has the controller run until the end of the test.
func run(t *testing.T, controller *Controller) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		controller.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// TestPassesOverOneObjectTakeTurns asks for passes from the queue and beside it.
func TestPassesOverOneObjectTakeTurns(t *testing.T) {
	var passes, together, most atomic.Int32
	controller := running(t, testingclock.NewFakeClock(time.Now()), func(context.Context, types.NamespacedName) (time.Duration, error) {
		if n := together.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer together.Add(-1)
		time.Sleep(time.Millisecond)
		passes.Add(1)
		return 0, nil
	})
	key := types.NamespacedName{Namespace: "a", Name: "b"}
	var group sync.WaitGroup
	for range 10 {
		controller.Enqueue(key)
		group.Go(func() { _ = controller.Now(t.Context(), key) })
	}
	group.Wait()
	if most.Load() != 1 || passes.Load() < 10 {
		t.Errorf("got %d passes, up to %d at a time; want 10 or more, one at a time", passes.Load(), most.Load())
	}
	eventually(t, "no lock is left", func(context.Context) bool {
		controller.passing.mu.Lock()
		defer controller.passing.mu.Unlock()
		return len(controller.passing.locks) == 0
	})
}

// TestWhatFailsNowIsTriedAgain has a pass beside the queue fail, and steps the clock to the next.
func TestWhatFailsNowIsTriedAgain(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Now())
	var passes atomic.Int32
	controller := running(t, clock, func(context.Context, types.NamespacedName) (time.Duration, error) {
		switch passes.Add(1) {
		case 1:
			return 0, errors.New("no")
		case 2:
			return time.Hour, nil
		}
		return 0, nil
	})
	if err := controller.Now(t.Context(), types.NamespacedName{Name: "a"}); err == nil {
		t.Error("a failure is not told")
	}
	eventually(t, "the failure is waiting", func(context.Context) bool { return clock.HasWaiters() })
	if got := passes.Load(); got != 1 {
		t.Errorf("got %d passes before time went on, want 1", got)
	}
	eventually(t, "it is tried again", func(context.Context) bool {
		clock.Step(firstRetry)
		return passes.Load() == 2
	})
	eventually(t, "the pass after an hour runs", func(context.Context) bool {
		clock.Step(time.Hour)
		return passes.Load() == 3
	})
}

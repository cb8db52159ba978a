// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	testingclock "k8s.io/utils/clock/testing"
)

// TestWhoWaitsLateIsWoken has a second pass come to wait for a write while the first one has its
// turn, as the pass over a pod does behind that over its claim.
func TestWhoWaitsLateIsWoken(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Now())
	made := NewMetrics(metrics.NewKubeRegistry())
	breaker := NewBreaker(corev1.Resource("claims"), made, clock)
	waiting := func(kind string) waker {
		return waker{NewController(ControllerOptions{Name: kind, Metrics: made, Clock: clock}), types.NamespacedName{Name: "one"}}
	}
	first, late := waiting("claims"), waiting("pods")
	w := &write{name: "one", digest: func() string { return "this" }}
	if err := breaker.enter(w); err != nil {
		t.Fatal(err)
	}
	if err := breaker.exit(w, Refuse(reasonQuota, "exceeded quota of the virtual cluster")); err == nil {
		t.Fatal("a write that was refused is not held back")
	}
	breaker.park(w.name, first, clock.Now())
	breaker.Widened()
	if _, err := breaker.Reconcile(t.Context(), types.NamespacedName{Name: ownQuota}); err != nil {
		t.Fatal(err)
	}
	if first.controller.queue.Len() != 1 {
		t.Fatal("the first pass is not woken")
	}
	if err := breaker.enter(w); err != nil {
		t.Fatalf("the first pass has its turn: got %v", err)
	}
	breaker.park(w.name, late, clock.Now())
	if err := breaker.exit(w, nil); err != nil {
		t.Fatal(err)
	}
	if late.controller.queue.Len() != 1 {
		t.Error("the pass that came late sleeps on, though the host took the write")
	}
}

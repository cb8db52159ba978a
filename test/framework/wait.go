// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// Timeout is how long a condition may take to come true. It only ends tests
	// that fail, so it is long enough for a machine that is busy.
	Timeout = 3 * time.Minute
	// Interval is how often conditions are looked at.
	Interval = 50 * time.Millisecond
)

// Poll waits for a condition, or returns its error.
func Poll(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, Interval, Timeout, true, condition)
}

// Eventually waits for a condition, or fails the test.
func Eventually(t testing.TB, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := Poll(t.Context(), condition); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// Succeeds waits until check returns no error, or fails the test with its last one.
func Succeeds(t testing.TB, what string, check func(context.Context) error) {
	t.Helper()
	SucceedsWithin(t, Timeout, what, check)
}

// SucceedsWithin is as Succeeds, where it matters how long it takes. It rests
// between two checks for three times as long as a check takes: many are processes,
// and what they wait for needs the machine.
func SucceedsWithin(t testing.TB, limit time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		begun := time.Now()
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(min(max(Interval, 3*time.Since(begun)), time.Second)):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			t.Fatalf("waiting %s until %s: %v", limit, what, err)
		}
	}
}

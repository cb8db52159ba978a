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

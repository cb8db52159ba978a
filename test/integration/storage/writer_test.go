// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/test/framework"
)

// writer makes one object after the other and notes what became of each.
type writer struct {
	mu           sync.Mutex
	acknowledged []string
	refused      []error
	stop         chan struct{}
	stopped      chan struct{}
}

// writeSteadily begins to write through the replica.
func (r *replica) writeSteadily(t *testing.T, namespace string) *writer {
	t.Helper()
	w := &writer{stop: make(chan struct{}), stopped: make(chan struct{})}
	ctx := context.WithoutCancel(t.Context())
	go func() {
		defer close(w.stopped)
		for i := 0; ; i++ {
			select {
			case <-w.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			name := fmt.Sprintf("vc-%d", i)
			_, err := r.clusters(namespace).Create(ctx, named(name), metav1.CreateOptions{})
			w.mu.Lock()
			if err == nil {
				w.acknowledged = append(w.acknowledged, name)
			} else {
				w.refused = append(w.refused, err)
			}
			w.mu.Unlock()
		}
	}()
	t.Cleanup(func() { w.end() })
	return w
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// fails waits until a write was refused.
func (w *writer) fails(t *testing.T) {
	t.Helper()
	framework.Eventually(t, "a write is refused", func(context.Context) (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.refused) > 0, nil
	})
}

// end stops writing and returns what became of it.
func (w *writer) end() (acknowledged []string, refused []error) {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.stopped
	return w.acknowledged, w.refused
}

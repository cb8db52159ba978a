// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/test/framework"
)

// TestKilledAtAnyMoment kills a replica with a database of its own while it is
// written to, several times, and looks for every write that it acknowledged.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	r := newReplica(t)
	namespace := shared.host.NewNamespace(t, "store-")
	var acknowledged []string
	for round := range 3 {
		r.start(t)
		acknowledged = append(acknowledged, r.killedWhileWritten(t, namespace, fmt.Sprintf("vc-%d", round))...)
	}
	r.start(t)
	found := r.list(t, namespace)
	var lost error
	for _, name := range acknowledged {
		if _, there := found[name]; !there {
			lost = errors.Join(lost, fmt.Errorf("%s was acknowledged and is lost", name))
		}
	}
	if lost != nil {
		t.Errorf("of %d: %v", len(acknowledged), lost)
	}
	t.Logf("%d writes acknowledged", len(acknowledged))

	// Asked to end, it does so by itself, and soon.
	begun := time.Now()
	r.stop(t)
	if took := time.Since(begun); took > 25*time.Second {
		t.Errorf("the end took %s, want less than a pod is given", took)
	}
}

// killedWhileWritten makes one object after the other without a pause, kills the
// replica, and returns the names of those that it acknowledged.
func (r *replica) killedWhileWritten(t *testing.T, namespace, prefix string) []string {
	t.Helper()
	var mu sync.Mutex
	var acknowledged []string
	var ended error
	written, ctx := make(chan struct{}), context.WithoutCancel(t.Context())
	go func() {
		defer close(written)
		for i := 0; ; i++ {
			name := fmt.Sprintf("%s-%d", prefix, i)
			_, err := r.clusters(namespace).Create(ctx, named(name), metav1.CreateOptions{})
			mu.Lock()
			if ended = err; err == nil {
				acknowledged = append(acknowledged, name)
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	framework.Eventually(t, "some are written", func(context.Context) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged) > 20, ended
	})
	_ = r.process.End(os.Kill)
	<-written
	return acknowledged
}

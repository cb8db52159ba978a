// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load keeps an API server busy while a test does something to it, and reports which
// requests failed meanwhile. It makes each request once: when a client library itself repeats
// one because a connection was closed, that counts as one request, and every other failure
// counts.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pause between two requests of one client leaves the machine to others.
const pause = 5 * time.Millisecond

// Client is the part of a typed client that is used, for objects O and their lists L.
type Client[O metav1.Object, L any] interface {
	Create(context.Context, O, metav1.CreateOptions) (O, error)
	Get(context.Context, string, metav1.GetOptions) (O, error)
	Update(context.Context, O, metav1.UpdateOptions) (O, error)
	List(context.Context, metav1.ListOptions) (L, error)
	Delete(context.Context, string, metav1.DeleteOptions) error
}

// Load asks all the time, and remembers what failed.
type Load struct {
	requests atomic.Int64
	mu       sync.Mutex
	failures []error
	finish   func()
}

// Start begins to ask by each of the clients at a time, of which every one makes
// objects with names of its own. Half of the requests read, half write. It ends
// with the test, or before that by ExpectNone.
func Start[O metav1.Object, L any](t testing.TB, clients []Client[O, L], object func(name string) O) *Load {
	t.Helper()
	l := &Load{}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i, client := range clients {
		group.Go(func() { work(ctx, l, client, fmt.Sprintf("load-%d", i), object) })
	}
	l.finish = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(l.finish)
	return l
}

func work[O metav1.Object, L any](ctx context.Context, l *Load, in Client[O, L], prefix string, make func(name string) O) {
	// A request that has begun is brought to its end.
	asked := context.WithoutCancel(ctx)
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%s-%d", prefix, i)
		object := make(name)
		var err error
		steps := []struct {
			what string
			do   func() error
		}{
			{"create", func() error { _, err := in.Create(asked, object, metav1.CreateOptions{}); return err }},
			{"get", func() error { object, err = in.Get(asked, name, metav1.GetOptions{}); return err }},
			{"update", func() error {
				object.SetAnnotations(map[string]string{"example.com/load": name})
				_, err := in.Update(asked, object, metav1.UpdateOptions{})
				return err
			}},
			{"list", func() error { _, err := in.List(asked, metav1.ListOptions{}); return err }},
			{"delete", func() error { return in.Delete(asked, name, metav1.DeleteOptions{}) }},
			{"list one", func() error { _, err := in.List(asked, metav1.ListOptions{Limit: 1}); return err }},
		}
		for _, step := range steps {
			l.requests.Add(1)
			if err := step.do(); err != nil {
				l.fail(fmt.Errorf("%s %s at %s: %w", step.what, name, time.Now().Format(time.StampMilli), err))
			}
			time.Sleep(pause)
		}
	}
}

func (l *Load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err)
}

// ExpectNone ends the load; no request may have failed.
func (l *Load) ExpectNone(t testing.TB) {
	t.Helper()
	l.finish()
	t.Logf("%d requests, %d failed", l.requests.Load(), len(l.failures))
	if l.requests.Load() == 0 {
		t.Error("nothing was asked")
	}
	if len(l.failures) > 0 {
		t.Errorf("the first failures: %v", errors.Join(l.failures[:min(5, len(l.failures))]...))
	}
}

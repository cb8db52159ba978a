// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
)

// workers is how many clients ask at a time.
const workers = 6

// load asks all the time, and remembers what failed.
type load struct {
	requests atomic.Int64
	mu       sync.Mutex
	failures []error
	finish   func()
}

// underLoad begins to ask. Half of the requests read, half write.
func underLoad(t *testing.T) *load {
	t.Helper()
	l := &load{}
	namespace := shared.host.NewNamespace(t, "load-")
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i := range workers {
		in := clients(t).TenancyV1().VirtualClusters(namespace)
		group.Go(func() { l.work(ctx, in, fmt.Sprintf("vc-%d", i)) })
	}
	l.finish = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(l.finish)
	return l
}

func (l *load) work(ctx context.Context, in tenancyv1.VirtualClusterInterface, prefix string) {
	// A request that has begun is brought to its end.
	asked := context.WithoutCancel(ctx)
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%s-%d", prefix, i)
		object := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
		var err error
		steps := []struct {
			what string
			do   func() error
		}{
			{"create", func() error { _, err := in.Create(asked, object, metav1.CreateOptions{}); return err }},
			{"get", func() error { object, err = in.Get(asked, name, metav1.GetOptions{}); return err }},
			{"update", func() error {
				object.Annotations = map[string]string{"example.com/load": name}
				_, err := in.Update(asked, object, metav1.UpdateOptions{})
				return err
			}},
			{"list", func() error { _, err := in.List(asked, metav1.ListOptions{}); return err }},
			{"delete", func() error { return in.Delete(asked, name, metav1.DeleteOptions{}) }},
			{"list metadata", func() error { _, err := in.List(asked, metav1.ListOptions{Limit: 1}); return err }},
		}
		for _, step := range steps {
			l.requests.Add(1)
			if err := step.do(); err != nil {
				l.fail(fmt.Errorf("%s %s at %s: %w", step.what, name, time.Now().Format(time.StampMilli), err))
			}
			time.Sleep(5 * time.Millisecond) // leaves the machine to others
		}
	}
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err)
}

// expectNone ends the load; no request may have failed.
func (l *load) expectNone(t *testing.T) {
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/syncer/translate"
)

// TestWatch wants to be told once of each change, and of nothing else.
func TestWatch(t *testing.T) {
	var code, asked atomic.Int32
	code.Store(http.StatusNotFound)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(code.Load()))
		fmt.Fprint(w, `{"items":[],"message":"no"}`)
	}))
	defer server.Close()
	pods := corev1listers.NewPodLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}))
	clock := testingclock.NewFakeClock(time.Now())
	source, err := New(Options{
		Translator: translate.New(translate.Cluster{ID: "one", HostNamespace: "team"}), HostConfig: &rest.Config{Host: server.URL},
		VirtualPods: pods, HostPods: pods, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan *Unavailable, 9)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Watch(ctx, func(u *Unavailable) { told <- u }) }()
	for _, step := range []struct {
		code int32
		want func(*Unavailable) bool
	}{
		{http.StatusNotFound, func(u *Unavailable) bool { return u != nil && u.Absent() }},
		{http.StatusOK, func(u *Unavailable) bool { return u == nil }},
		{http.StatusServiceUnavailable, func(u *Unavailable) bool { return u != nil && !u.Absent() && u.Inside() != u.Message }},
		{http.StatusOK, func(u *Unavailable) bool { return u == nil }},
	} {
		if code.Swap(step.code) != step.code {
			before := asked.Load()
			stepUntil(t, clock, func() bool { return asked.Load() > before })
		}
		if got := <-told; !step.want(got) {
			t.Errorf("the host answers %d: told %+v", step.code, got)
		}
	}
	before := asked.Load()
	stepUntil(t, clock, func() bool { return asked.Load() > before+1 })
	cancel()
	if err := <-ended; err != nil || len(told) > 0 {
		t.Errorf("got %v at the end, and told %d times of nothing new", err, len(told))
	}
}

// stepUntil moves the clock on, whenever somebody waits for it, until something is so.
func stepUntil(t *testing.T, clock *testingclock.FakeClock, so func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		if so() {
			return true, nil
		}
		if clock.HasWaiters() {
			clock.Step(watchInterval)
		}
		return false, nil
	})
	if err != nil {
		t.Fatalf("waiting until the host is asked: %v", err)
	}
}

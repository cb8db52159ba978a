// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/wake"
)

// attendant notes what the relay tells it. It wakes a virtual cluster when the test allows it.
type attendant struct {
	mu               sync.Mutex
	seen, open, gone int
	woke             []string
	needs            []wake.Need
	// wake is closed when the virtual cluster is awake.
	wake  chan struct{}
	awake *tenancy.VirtualCluster
}

func (a *attendant) Seen(*tenancy.VirtualCluster) { a.note(func() { a.seen++ }) }

func (a *attendant) Stays(*tenancy.VirtualCluster) func() {
	a.note(func() { a.open++ })
	return func() { a.note(func() { a.gone++ }) }
}

func (a *attendant) Awake(ctx context.Context, _ *tenancy.VirtualCluster, user string, need wake.Need) (*tenancy.VirtualCluster, error) {
	a.note(func() { a.woke, a.needs = append(a.woke, user), append(a.needs, need) })
	select {
	case <-a.wake:
		return a.awake, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *attendant) note(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
}

func (a *attendant) is(condition func() bool) func() bool {
	return func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return condition()
	}
}

// newAttendedFront is a front with an attendant.
func newAttendedFront(t *testing.T, inside http.Handler) (*front, *attendant) {
	f := newFront(t, inside)
	a := &attendant{wake: make(chan struct{}), awake: f.inside.VirtualCluster}
	config := Config{Gate: f.relay.gate, Credentials: access.NewCredentials(access.NewIssuer(f.inside.Dial, f.inside.ClientCertificate), access.DefaultRelayLife).WithClock(clock.RealClock{}),
		Dial: f.inside.Dial, Attendant: a}
	f.relay = New(config)
	return f, a
}

// asleep is the virtual cluster as it is while it sleeps, for the reason.
func asleep(vc *tenancy.VirtualCluster, reason string) *tenancy.VirtualCluster {
	vc = vc.DeepCopy()
	now := metav1.Now()
	vc.Status.Sleep = &tenancy.SleepStatus{Number: 1, Since: &now, Reason: reason}
	vc.Spec.Paused = reason == v1.SleepReasonPaused
	vc.Status.Phase = tenancy.Phase(v1.PhaseSleeping)
	meta.SetStatusCondition(&vc.Status.Conditions, metav1.Condition{Type: v1.ConditionAsleep, Status: metav1.ConditionTrue, Reason: v1.ReasonAsleep})
	meta.SetStatusCondition(&vc.Status.Conditions, metav1.Condition{Type: v1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1.ReasonAsleep, Message: "asleep for a reason"})
	return vc
}

var ignoring = tenancy.SleepSpec{Ignore: []tenancy.IgnoredRequests{
	{UserAgents: []string{"prometheus/"}},
	{Paths: []string{"/metrics", "/apis/metrics.k8s.io/*"}},
	{Users: []string{"alice"}, Verbs: []string{"watch"}},
	{Groups: []string{"dev"}, Verbs: []string{"deletecollection"}},
	{Users: []string{"host:alice"}}, // She has that name inside, and no rule is about that.
}}

// TestWhatCounts sends requests to a virtual cluster that is awake, and to one that sleeps.
func TestWhatCounts(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, agent string
		header              http.Header
		ignored             bool
		stays               bool
		need                wake.Need
	}{
		"a read":                           {path: "/api/v1/pods"},
		"a path of no resource":            {path: "/version"},
		"a write":                          {method: http.MethodPost, path: "/api/v1/namespaces/a/pods", need: wake.Synced},
		"a user agent of a rule":           {path: "/api/v1/pods", agent: "prometheus/3.1", ignored: true},
		"a user agent that ends like it":   {path: "/api/v1/pods", agent: "not prometheus/3.1"},
		"a path of a rule":                 {path: "/metrics", ignored: true},
		"a path of a rule, encoded":        {path: "/%6detrics", ignored: true},
		"a path of a rule, with a query":   {path: "/metrics?watch=true", ignored: true},
		"a path of a rule, with more":      {path: "/metrics/"},
		"a path of a rule, spelled oddly":  {path: "//metrics"},
		"a path below one of a rule":       {path: "/apis/metrics.k8s.io/v1beta1/nodes", ignored: true},
		"a verb of a rule for the group":   {method: http.MethodDelete, path: "/api/v1/namespaces/a/pods", ignored: true},
		"another verb than that":           {method: http.MethodDelete, path: "/api/v1/namespaces/a/pods/b", need: wake.Synced},
		"a watch, which a rule is about":   {path: "/api/v1/pods?watch=1", ignored: true},
		"logs":                             {path: "/api/v1/namespaces/a/pods/b/log?follow=true", stays: true, need: wake.Synced},
		"headers that name another":        {path: "/api/v1/pods", header: http.Header{"Impersonate-User": {"bob"}, "X-Remote-User": {"bob"}}},
		"headers that name a user of none": {path: "/metrics", header: http.Header{"X-Original-Uri": {"/api/v1/pods"}}, ignored: true},
	} {
		t.Run(name, func(t *testing.T) {
			inside := &recorder{}
			f, a := newAttendedFront(t, inside)
			close(a.wake)
			f.inside.VirtualCluster.Spec.Sleep = ignoring
			awake := f.inside.VirtualCluster
			ask := func() *http.Response {
				method := test.method
				if method == "" {
					method = http.MethodGet
				}
				request := newRequest(t, method, f.url(test.path), nil)
				request.Header.Set("User-Agent", "kubectl/1.37")
				if test.agent != "" {
					request.Header.Set("User-Agent", test.agent)
				}
				for key, values := range test.header {
					request.Header[key] = values
				}
				response := do(t, request)
				if response.StatusCode == http.StatusOK {
					io.Copy(io.Discard, response.Body)
				}
				return response
			}
			if response := ask(); response.StatusCode != http.StatusOK {
				t.Fatalf("awake: got %d, want 200", response.StatusCode)
			}
			seen, open := 1, 0
			switch {
			case test.ignored:
				seen = 0
			case test.stays:
				seen, open = 0, 1
			}
			waitFor(t, a.is(func() bool { return a.seen == seen && a.open == open && a.gone == open && len(a.woke) == 0 }))

			f.inside.VirtualCluster = asleep(awake, v1.SleepReasonInactive)
			response := ask()
			if test.ignored {
				got := status(t, response)
				if got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Message, "asleep for a reason; by spec.sleep.ignore") || len(a.woke) != 0 {
					t.Errorf("asleep: got %d with %q, woke %q; want 503 with the reason, and no wake", got.Code, got.Message, a.woke)
				}
				return
			}
			if response.StatusCode != http.StatusOK || len(a.woke) != 1 || a.woke[0] != "alice" || a.needs[0] != test.need {
				t.Errorf("asleep: got %d, woke by %q for %v; want 200, by alice for %v", response.StatusCode, a.woke, a.needs, test.need)
			}

			f.inside.VirtualCluster = asleep(awake, v1.SleepReasonPaused)
			if got := status(t, ask()); got.Code != http.StatusServiceUnavailable || !strings.HasSuffix(got.Message, "asleep for a reason") || len(a.woke) != 1 {
				t.Errorf("paused: got %d with %q, woke %q; want 503 with the reason, and no wake", got.Code, got.Message, a.woke)
			}
		})
	}
}

func TestWhoMayNotEnterWakesNobody(t *testing.T) {
	f, a := newAttendedFront(t, &recorder{})
	f.inside.VirtualCluster = asleep(f.inside.VirtualCluster, v1.SleepReasonInactive)
	f.viewer = true
	conn, _, response := f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n")
	conn.Close()
	refused := []int{response.StatusCode}
	for _, path := range []string{"/a%2fb", "/a/../b"} {
		refused = append(refused, do(t, newRequest(t, http.MethodGet, f.URL+testPrefix+path, nil)).StatusCode)
	}
	if refused[0] != http.StatusForbidden || refused[1] != http.StatusBadRequest || refused[2] != http.StatusBadRequest {
		t.Errorf("got %v", refused)
	}
	if a.seen+a.open+len(a.woke) != 0 {
		t.Errorf("noted %d requests and %d streams, woke for %q; want nothing", a.seen, a.open, a.woke)
	}
}

// TestStreamsAreHeld has a watch and an exec come while the virtual cluster sleeps.
func TestStreamsAreHeld(t *testing.T) {
	f, a := newAttendedFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if wantsUpgrade(req.Header) {
			switching(t, switched("websocket"), echoThenBye)(w, req)
			return
		}
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
	}))
	f.inside.VirtualCluster = asleep(f.inside.VirtualCluster, v1.SleepReasonScheduled)
	ctx, stop := context.WithCancel(t.Context())
	watch := newRequest(t, http.MethodGet, f.url("/api/v1/pods?watch=true"), nil).WithContext(ctx)
	answered := make(chan *http.Response, 1)
	go func() {
		response, err := http.DefaultClient.Do(watch)
		if err != nil {
			t.Error(err)
		}
		answered <- response
	}()
	waitFor(t, a.is(func() bool { return len(a.woke) == 1 }))
	go func() {
		waitFor(t, a.is(func() bool { return len(a.woke) == 2 }))
		close(a.wake)
	}()
	conn, reader, response := f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n12345")
	if _, err := io.ReadFull(reader, make([]byte, 5)); response.StatusCode != http.StatusSwitchingProtocols || err != nil {
		t.Fatalf("exec: got %d, %v", response.StatusCode, err)
	}
	if got := <-answered; got == nil || got.StatusCode != http.StatusOK {
		t.Fatalf("watch: got %+v", got)
	}
	if a.needs[0] != wake.Answers || a.needs[1] != wake.Synced {
		t.Errorf("woken for %v", a.needs)
	}
	waitFor(t, a.is(func() bool { return a.open == 2 && a.gone == 0 }))
	stop()
	conn.Close()
	waitFor(t, a.is(func() bool { return a.gone == 2 }))
}

// TestWhoLeavesWhileHeld is not counted as answered.
func TestWhoLeavesWhileHeld(t *testing.T) {
	inside := &recorder{}
	f, a := newAttendedFront(t, inside)
	f.inside.VirtualCluster = asleep(f.inside.VirtualCluster, v1.SleepReasonInactive)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(newRequest(t, http.MethodPost, f.url("/api/v1/namespaces/a/pods"), strings.NewReader("body")).WithContext(ctx))
		done <- err
	}()
	waitFor(t, a.is(func() bool { return len(a.woke) == 1 }))
	leave()
	if err := <-done; err == nil {
		t.Error("the request was answered")
	}
	close(a.wake)
	inside.none(t)
}

func TestProbe(t *testing.T) {
	ready := false
	var asked *http.Request
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked = req.Clone(context.Background())
		if !ready {
			http.Error(w, "not yet", http.StatusInternalServerError)
		}
	}))
	f.relay = f.newRelay(clock.RealClock{})
	if err := f.relay.Probe(t.Context(), f.inside.VirtualCluster); err == nil {
		t.Error("an API server that is not ready counts as ready")
	}
	ready = true
	if err := f.relay.Probe(t.Context(), f.inside.VirtualCluster); err != nil {
		t.Error(err)
	}
	if asked.URL.Path != "/readyz" || len(asked.Header["Impersonate-User"]) > 0 || len(asked.TLS.PeerCertificates) == 0 {
		t.Errorf("asked for %s as %v, want /readyz as the relay itself", asked.URL, asked.Header)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	testclock "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// reporting is an Activity, and the times of use that it reported.
type reporting struct {
	*Activity
	clock *testclock.FakeClock
	times chan time.Duration
}

func newReporting(rules ...tenancyv1.IgnoredRequests) *reporting {
	s := &reporting{clock: testclock.NewFakeClock(begin), times: make(chan time.Duration, 100)}
	s.Activity = New(s.clock, func(used time.Time) { s.times <- used.Sub(begin) })
	vc := &tenancyv1.VirtualCluster{}
	vc.Spec.Sleep.Ignore = rules
	s.Observe(vc)
	return s
}

func (s *reporting) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// next waits for the next report.
func (s *reporting) next(t *testing.T, want time.Duration) {
	t.Helper()
	select {
	case got := <-s.times:
		if got != want {
			t.Errorf("it reported %s, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it reported nothing, want %s", want)
	}
}

// forward moves the clock once the activity waits for it.
func (s *reporting) forward(t *testing.T, by time.Duration) {
	t.Helper()
	s.settled(t, true)
	s.clock.Step(by)
}

func (s *reporting) settled(t *testing.T, waits bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return s.clock.HasWaiters() == waits, nil
	})
	if err != nil {
		t.Fatalf("waits for the clock: %t, want %t", !waits, waits)
	}
}

func (s *reporting) streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// request is an event; change edits it.
func request(stage string, change ...func(*event)) event {
	e := event{AuditID: "id", Stage: stage, RequestURI: "/api/v1/namespaces/default/pods?limit=500", Verb: "list", UserAgent: "kubectl/v1.37", Received: "2026-01-02T03:04:05.000001Z"}
	e.User.Username = "host:alice"
	for _, each := range change {
		each(&e)
	}
	return e
}

func by(name string) func(*event) { return func(e *event) { e.User.Username = name } }

func watching(uri string) func(*event) {
	return func(e *event) { e.Verb, e.RequestURI = "watch", uri }
}

func TestWhatCounts(t *testing.T) {
	dashboards := tenancyv1.IgnoredRequests{UserAgents: []string{"kubectl/"}}
	for name, test := range map[string]struct {
		event event
		rules []tenancyv1.IgnoredRequests
		want  bool
	}{
		"a person":                           {request(stageComplete), nil, true},
		"a user of the tenant's own":         {request(stageComplete, by("bob")), nil, true},
		"an account of the host":             {request(stageComplete, by("host:system:serviceaccount:ci:x")), nil, true},
		"the beginning of a stream":          {request(stageStarted, watching("/api/v1/pods?watch=1")), nil, true},
		"what ends in a panic":               {request(stagePanic), nil, true},
		"what only begins":                   {request("RequestReceived"), nil, false},
		"a stage that nobody knows":          {request(""), nil, false},
		"the relay":                          {request(stageComplete, by(tenancyv1.RelayUser)), nil, false},
		"the syncer":                         {request(stageComplete, by("system:admin")), nil, false},
		"a controller":                       {request(stageComplete, by("system:kube-controller-manager")), nil, false},
		"an account inside":                  {request(stageComplete, by("system:serviceaccount:default:default")), nil, false},
		"a node":                             {request(stageStarted, by("system:node:n")), nil, false},
		"somebody without a credential":      {request(stageComplete, by("system:anonymous")), nil, false},
		"somebody without a name":            {request(stageComplete, by("")), nil, false},
		"an ignored client":                  {request(stageComplete), []tenancyv1.IgnoredRequests{dashboards}, false},
		"an ignored client's stream":         {request(stageStarted), []tenancyv1.IgnoredRequests{dashboards}, false},
		"another client":                     {request(stageComplete, func(e *event) { e.UserAgent = "x" }), []tenancyv1.IgnoredRequests{dashboards}, true},
		"an ignored verb":                    {request(stageComplete), []tenancyv1.IgnoredRequests{{Verbs: []string{"list"}}}, false},
		"an ignored path, without its query": {request(stageComplete), []tenancyv1.IgnoredRequests{{Paths: []string{"/api/v1/namespaces/default/pods"}}}, false},
		"another path":                       {request(stageComplete), []tenancyv1.IgnoredRequests{{Paths: []string{"/api/v1/pods"}}}, true},
		"a path that is none":                {request(stageComplete, watching(" %zz")), []tenancyv1.IgnoredRequests{{Paths: []string{"/*"}}}, true},
		"an ignored user of the host":        {request(stageComplete), []tenancyv1.IgnoredRequests{{Users: []string{"alice"}}}, false},
		"their credential for a role":        {request(stageComplete, by((&tenancyv1.KubeconfigGrant{ID: "x", HostUser: "alice", ClusterRole: "view"}).User())), []tenancyv1.IgnoredRequests{{Users: []string{"alice"}}}, false},
		"a credential kept in a Secret":      {request(stageComplete, by(tenancyv1.SecretUser("x", "alice"))), []tenancyv1.IgnoredRequests{{Users: []string{"alice", "secret:alice"}}}, true},
		"a user inside of the same name":     {request(stageComplete, by("alice")), []tenancyv1.IgnoredRequests{{Users: []string{"alice"}}}, true},
		"a group, which nobody inside has":   {request(stageComplete), []tenancyv1.IgnoredRequests{{Groups: []string{"garret:admins"}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReporting(test.rules...)
			s.note([]event{test.event})
			if last, _ := s.used(); last.IsZero() == test.want {
				t.Errorf("got %v, want a use: %t", last, test.want)
			}
		})
	}
}

func TestFirstUseIsToldAtOnceAndTheLastInAMinute(t *testing.T) {
	s := newReporting()
	s.run(t)
	s.note([]event{request(stageComplete, by("system:admin"))})
	s.settled(t, false)
	s.note([]event{request(stageComplete)})
	s.next(t, 0)
	for range 3 {
		s.forward(t, 10*time.Second)
		s.note([]event{request(stageComplete), request(stageComplete)})
	}
	s.forward(t, 30*time.Second)
	s.next(t, 30*time.Second)
	s.forward(t, time.Minute)
	s.settled(t, false)
	if len(s.times) > 0 {
		t.Errorf("it reported %s while nobody used it", <-s.times)
	}
}

func TestAnOpenStreamIsUse(t *testing.T) {
	for name, end := range map[string]func(*reporting){
		"its end":               func(s *reporting) { s.note([]event{request(stageComplete, watching("/w"))}) },
		"the API server's":      func(s *reporting) { s.Stopped() },
		"the end of a panic":    func(s *reporting) { s.note([]event{request(stagePanic, watching("/w"))}) },
		"rules that are stored": func(s *reporting) { s.endUnder(tenancyv1.IgnoredRequests{Verbs: []string{"watch"}}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newReporting()
			s.run(t)
			s.note([]event{request(stageStarted, watching("/w"))})
			s.next(t, 0)
			for minute := 1; minute <= 3; minute++ {
				s.forward(t, time.Minute)
				s.next(t, time.Duration(minute)*time.Minute)
			}
			end(s)
			if open := s.streams(); open != 0 {
				t.Errorf("%d streams are open, want none", open)
			}
		})
	}
}

// endUnder ends the stream when its requests have come to be ignored.
func (s *reporting) endUnder(rule tenancyv1.IgnoredRequests) {
	vc := &tenancyv1.VirtualCluster{}
	vc.Spec.Sleep.Ignore = []tenancyv1.IgnoredRequests{rule}
	s.Observe(vc)
	s.note([]event{request(stageComplete, watching("/w"))})
}

// TestOneIdForManyRequests has a client choose the id of its requests.
func TestOneIdForManyRequests(t *testing.T) {
	s := newReporting()
	later := func(e *event) { e.Received = "2026-01-02T03:04:06.000001Z" }
	s.note([]event{request(stageStarted, watching("/w")), request(stageStarted, watching("/w"), later), request(stageComplete)})
	s.note([]event{request(stageComplete, watching("/w"))})
	if open := s.streams(); open != 1 {
		t.Errorf("%d streams are open, want one", open)
	}
}

// TestEndsThatNobodyTells wants streams to be forgotten whose end was lost.
func TestEndsThatNobodyTells(t *testing.T) {
	for uri, want := range map[string]time.Duration{
		"/w?timeoutSeconds=600":           11 * time.Minute,
		"/w?timeoutSeconds=-1":            time.Hour + time.Minute,
		"/w?timeoutSeconds=2147483647":    longest,
		"/w?timeoutSeconds=9999999999999": time.Hour + time.Minute,
		"/w?timeoutSeconds=7200":          2*time.Hour + time.Minute,
		"/w":                              time.Hour + time.Minute,
		" %zz":                            time.Hour + time.Minute,
	} {
		s := newReporting()
		s.note([]event{request(stageStarted, watching(uri))})
		s.clock.Step(want)
		if _, still := s.used(); !still {
			t.Errorf("%s: the stream was forgotten before %s", uri, want)
		}
		s.clock.Step(time.Second)
		if _, still := s.used(); still {
			t.Errorf("%s: the stream is open after %s", uri, want)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := newReporting()
	for i := range 10 * maxOpen {
		s.note([]event{request(stageStarted, watching(fmt.Sprint("/", i)), func(e *event) { e.AuditID = strings.Repeat("x", 1000) })})
	}
	if open := s.streams(); open != maxOpen {
		t.Errorf("%d streams are kept, want %d", open, maxOpen)
	}
}

// ask sends a body as somebody with a certificate of the name.
func (s *reporting) ask(name, method, body string) int {
	r := httptest.NewRequest(method, Path, strings.NewReader(body))
	r.TLS = nil
	if name != "" {
		certificate := &x509.Certificate{}
		certificate.Subject.CommonName = name
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	}
	w := httptest.NewRecorder()
	s.Handler(func(c *x509.Certificate) bool { return c.Subject.CommonName == "apiserver" }).ServeHTTP(w, r)
	return w.Code
}

func TestWhoMayTell(t *testing.T) {
	one, err := json.Marshal(list{APIVersion: "audit.k8s.io/v1", Kind: "EventList", Items: []event{request(stageComplete)}})
	if err != nil {
		t.Fatal(err)
	}
	huge, err := json.Marshal(list{APIVersion: "audit.k8s.io/v1", Kind: "EventList", Items: []event{request(stageComplete, by(strings.Repeat("x", maxBody)))}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		caller, method, body string
		want                 int
	}{
		"the API server":                  {"apiserver", "POST", string(one), http.StatusOK},
		"a caller without a certificate":  {"", "POST", string(one), http.StatusUnauthorized},
		"a caller with another":           {"host:alice", "POST", string(one), http.StatusUnauthorized},
		"a caller who only reads":         {"apiserver", "GET", "", http.StatusMethodNotAllowed},
		"a body without end":              {"apiserver", "POST", string(huge), http.StatusBadRequest},
		"half a body":                     {"apiserver", "POST", string(one[:len(one)/2]), http.StatusBadRequest},
		"no body":                         {"apiserver", "POST", "", http.StatusBadRequest},
		"a review":                        {"apiserver", "POST", `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","items":[{}]}`, http.StatusBadRequest},
		"an event that is no object":      {"apiserver", "POST", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[7]}`, http.StatusBadRequest},
		"events without anything in them": {"apiserver", "POST", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{},null]}`, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReporting()
			if got := s.ask(test.caller, test.method, test.body); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
			if last, _ := s.used(); last.IsZero() == (name == "the API server") {
				t.Errorf("last use is %v", last)
			}
		})
	}
}

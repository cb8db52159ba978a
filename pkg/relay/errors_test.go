// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access/accesstest"
)

// TestErrorsNameTheHop is about what a caller learns when the way is blocked.
func TestErrorsNameTheHop(t *testing.T) {
	for _, tc := range []struct {
		name  string
		set   func(*testing.T, *front)
		cause string
		want  string
		// later is that nobody should wait.
		later bool
	}{
		{
			name: "not ready",
			set: func(_ *testing.T, f *front) {
				f.inside.VirtualCluster.Status.Conditions[1] = metav1.Condition{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionFalse, Reason: "ImagePullBackOff", Message: "no such image"}
			},
			cause: "ImagePullBackOff", want: "no such image",
		},
		{
			name: "failed",
			set: func(_ *testing.T, f *front) {
				f.inside.VirtualCluster.Status.Conditions = nil
				f.inside.VirtualCluster.Status.Phase = tenancy.Phase(v1.PhaseFailed)
			},
			cause: "Failed", want: "its phase is Failed", later: true,
		},
		{
			name: "stalled",
			set: func(_ *testing.T, f *front) {
				f.inside.VirtualCluster.Status.Conditions[1].Status = metav1.ConditionFalse
				f.inside.VirtualCluster.Status.Conditions = append(f.inside.VirtualCluster.Status.Conditions,
					metav1.Condition{Type: v1.ConditionStalled, Status: metav1.ConditionTrue, Reason: "Stuck"})
			},
			cause: "Ready", want: "not available", later: true,
		},
		{
			name: "no issuer",
			set: func(_ *testing.T, f *front) {
				f.inside.Answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
			},
			cause: "NoCredential", want: "certificate issuer",
		},
		{
			name: "another server in its place",
			set: func(t *testing.T, f *front) {
				if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
					t.Fatal(err)
				}
				f.inside.Present(accesstest.NewAuthority(t, "server-ca").Server(time.Now().Add(time.Hour), "vc-demo.team.svc"))
			},
			cause: "WrongIdentity", want: "unknown authority", later: true,
		},
		{
			name: "the server of another cluster",
			set: func(t *testing.T, f *front) {
				if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
					t.Fatal(err)
				}
				f.inside.Present(f.inside.ServerCA.Server(time.Now().Add(time.Hour), "vc-other.team.svc"))
			},
			cause: "WrongIdentity", want: "vc-demo.team.svc", later: true,
		},
		{
			name: "nobody there",
			set: func(t *testing.T, f *front) {
				if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
					t.Fatal(err)
				}
				f.inside.Close()
			},
			cause: "Unreachable", want: "no connection to its API server",
		},
	} {
		for _, kind := range []string{"request", "upgrade"} {
			t.Run(tc.name+", "+kind, func(t *testing.T) {
				inside := &recorder{}
				f := newFront(t, inside)
				tc.set(t, f)
				request := newRequest(t, http.MethodGet, f.url("/api/v1/pods"), nil)
				if kind == "upgrade" {
					request.Header.Set("Connection", "Upgrade")
					request.Header.Set("Upgrade", "websocket")
				}
				response := do(t, request)
				got := status(t, response)
				if got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Message, tc.want) || !strings.Contains(got.Message, "team/demo") {
					t.Errorf("answered %d %q, want 503 about team/demo and %q", got.Code, got.Message, tc.want)
				}
				if len(got.Details.Causes) != 1 || string(got.Details.Causes[0].Type) != tc.cause {
					t.Errorf("details are %+v, want cause %s", got.Details, tc.cause)
				}
				after := response.Header.Get("Retry-After")
				if _, err := http.ParseTime(after); (err == nil) != tc.later {
					t.Errorf("Retry-After is %q, want a date: %t", after, tc.later)
				}
				if seconds, err := strconv.Atoi(after); (err == nil) == tc.later || int32(seconds) != got.Details.RetryAfterSeconds {
					t.Errorf("Retry-After is %q and %d in the body, want the same seconds: %t", after, got.Details.RetryAfterSeconds, !tc.later)
				}
				inside.none(t)
			})
		}
	}
}

// TestClientGoWaits has client-go, which kubectl is made of, ask for something
// in a virtual cluster that comes up, and in one that never will.
func TestClientGoWaits(t *testing.T) {
	for _, tc := range []struct {
		phase     v1.Phase
		wantTries int64
		wantErr   string
	}{
		{phase: v1.PhaseDeploying, wantTries: 2},
		{phase: v1.PhaseFailed, wantTries: 1, wantErr: "virtual cluster team/demo is not available: its phase is Failed"},
	} {
		t.Run(string(tc.phase), func(t *testing.T) {
			f := newFront(t, &recorder{})
			conditions := f.inside.VirtualCluster.Status.Conditions
			f.inside.VirtualCluster.Status.Conditions, f.inside.VirtualCluster.Status.Phase = nil, tenancy.Phase(tc.phase)
			var tries atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if tries.Add(1) == 2 {
					f.inside.VirtualCluster.Status.Conditions = conditions
				}
				f.Config.Handler.ServeHTTP(w, req)
			}))
			defer server.Close()
			client, err := rest.UnversionedRESTClientFor(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs}})
			if err != nil {
				t.Fatal(err)
			}
			err = client.Get().AbsPath(testPrefix, "version").Do(t.Context()).Error()
			if message := fmt.Sprint(err); (err != nil) != (tc.wantErr != "") || !strings.Contains(message, tc.wantErr) {
				t.Errorf("got error %v, want %q", err, tc.wantErr)
			}
			if tries.Load() != tc.wantTries {
				t.Errorf("asked %d times, want %d", tries.Load(), tc.wantTries)
			}
		})
	}
}

// TestLostConnection must not tell clients to repeat what may have been done.
func TestLostConnection(t *testing.T) {
	f := newFront(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	response := do(t, newRequest(t, http.MethodPost, f.url("/api/v1/pods"), strings.NewReader("body")))
	if got := status(t, response); got.Code != http.StatusBadGateway || response.Header.Get("Retry-After") != "" {
		t.Errorf("answered %d with Retry-After %q, want 502 without", got.Code, response.Header.Get("Retry-After"))
	}
}

func TestOnlyWhatWasAuthorised(t *testing.T) {
	f := newFront(t, &recorder{})
	f.inside.VirtualCluster.Name = "other"
	if got := status(t, do(t, newRequest(t, http.MethodGet, f.url("/api"), nil))); got.Code != http.StatusInternalServerError {
		t.Errorf("answered %d for a cluster that the host did not authorise, want 500", got.Code)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	}{
		{
			name: "not ready",
			set: func(_ *testing.T, f *front) {
				f.inside.VirtualCluster.Status.Conditions[1] = metav1.Condition{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionFalse, Reason: "ImagePullBackOff", Message: "no such image"}
			},
			cause: "ImagePullBackOff", want: "no such image",
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
			cause: "WrongIdentity", want: "unknown authority",
		},
		{
			name: "the server of another cluster",
			set: func(t *testing.T, f *front) {
				if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
					t.Fatal(err)
				}
				f.inside.Present(f.inside.ServerCA.Server(time.Now().Add(time.Hour), "vc-other.team.svc"))
			},
			cause: "WrongIdentity", want: "vc-demo.team.svc",
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
				if len(got.Details.Causes) != 1 || string(got.Details.Causes[0].Type) != tc.cause || got.Details.RetryAfterSeconds < 1 || response.Header.Get("Retry-After") == "" {
					t.Errorf("details are %+v, Retry-After %q; want cause %s and a delay", got.Details, response.Header.Get("Retry-After"), tc.cause)
				}
				inside.none(t)
			})
		}
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

const otherPrefix = "/clusters/team/demo"

func otherEntrance() Entrance {
	return Entrance{Namespace: "team", Name: "demo", Prefix: otherPrefix, UpgradesInside: true}
}

// otherInfo is what the host authorises for otherEntrance.
func otherInfo() *apirequest.RequestInfo {
	return &apirequest.RequestInfo{
		IsResourceRequest: true, Verb: "get", APIPrefix: "apis", APIGroup: "tenancy.garret.dev", APIVersion: "v1",
		Namespace: "team", Resource: resource, Name: "demo",
	}
}

// newOtherFront is a front whose requests come in by another entrance.
func newOtherFront(t *testing.T, inside http.Handler, info *apirequest.RequestInfo) *front {
	f := newFront(t, inside)
	last := WithInnerQuery(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f.relay.Handler(f.inside.VirtualCluster).ServeHTTP(w, req)
	}))
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx := apirequest.WithUser(WithEntrance(req.Context(), otherEntrance()), &user.DefaultInfo{Name: "alice", Groups: []string{"dev"}})
		last.ServeHTTP(w, req.WithContext(apirequest.WithRequestInfo(ctx, info)))
	}))
	t.Cleanup(f.Server.Close)
	return f
}

func TestOtherEntrance(t *testing.T) {
	inside := &recorder{}
	f := newOtherFront(t, inside, otherInfo())
	f.viewer = true
	_, _, response := f.raw(t, "POST "+otherPrefix+"/api/v1/namespaces/a/pods?dryRun=All HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nImpersonate-User: root\r\n\r\nbody")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("answered %d, want 200: what is done inside is for RBAC inside", response.StatusCode)
	}
	req, body := inside.only(t)
	if req.Method != http.MethodPost || req.RequestURI != "/api/v1/namespaces/a/pods?dryRun=All" || body != "body" {
		t.Errorf("arrived as %s %s with %q", req.Method, req.RequestURI, body)
	}
	if got, want := req.Header["Impersonate-Group"], []string{"garret:viewers", "host:dev"}; !reflect.DeepEqual(got, want) {
		t.Errorf("entered with %q, want %q", got, want)
	}
}

// TestOtherEntranceIsAuthorised has requests arrive that the host authorised
// for something else than the entrance says.
func TestOtherEntranceIsAuthorised(t *testing.T) {
	for name, change := range map[string]func(*apirequest.RequestInfo){
		"another name":      func(i *apirequest.RequestInfo) { i.Name = "other" },
		"another namespace": func(i *apirequest.RequestInfo) { i.Namespace = "other" },
		"another verb":      func(i *apirequest.RequestInfo) { i.Verb = "list" },
		"another resource":  func(i *apirequest.RequestInfo) { i.Resource = "hostclusters" },
		"another group":     func(i *apirequest.RequestInfo) { i.APIGroup = "example.com" },
		"a subresource":     func(i *apirequest.RequestInfo) { i.Subresource = "proxy" },
		"a path":            func(i *apirequest.RequestInfo) { i.IsResourceRequest = false },
	} {
		t.Run(name, func(t *testing.T) {
			info := otherInfo()
			change(info)
			inside := &recorder{}
			f := newOtherFront(t, inside, info)
			_, _, response := f.raw(t, "GET "+otherPrefix+"/api HTTP/1.1\r\nHost: h\r\n\r\n")
			if got := status(t, response); got.Code != http.StatusInternalServerError {
				t.Errorf("answered %d, want 500", got.Code)
			}
			inside.none(t)
		})
	}
}

func TestUpgradesDecidedInside(t *testing.T) {
	const allowed, refused = `{"status":{"allowed":true}}`, `{"status":{"allowed":false,"reason":"no rule"}}`
	for _, tc := range []struct {
		name, path, answer string
		code               int
		admin              bool
		want               int
		wantReviews        int64
		wantMessage        string
	}{
		{name: "who may create there", path: execPath, code: 201, answer: allowed, want: 101, wantReviews: 1},
		{name: "who may not", path: execPath, code: 201, answer: refused, want: 403, wantReviews: 1, wantMessage: `"host:alice" cannot create resource "pods/exec"`},
		{name: "allowed and denied is denied", path: execPath, code: 201, answer: `{"status":{"allowed":true,"denied":true}}`, want: 403, wantReviews: 1},
		{name: "the answer has no answer", path: execPath, code: 201, answer: `{}`, want: 403, wantReviews: 1},
		{name: "the answer is none", path: execPath, code: 201, answer: `yes`, want: 502, wantReviews: 1, wantMessage: "answered 201"},
		{name: "the question is refused", path: execPath, code: 403, answer: allowed, want: 502, wantReviews: 1, wantMessage: "answered 403"},
		{name: "administrators are not asked about", path: execPath, admin: true, want: 101},
		{name: "only resources can be asked about", path: "/version", want: 403, wantMessage: `path "/version"`},
		{name: "nothing else is interpreted", path: "/api/v1/%2e%2e/x", want: 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var reviews atomic.Int64
			upgrade := switching(t, switched("websocket"), nil)
			f := newOtherFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != reviewPath {
					upgrade(w, req)
					return
				}
				reviews.Add(1)
				var review authorizationv1.SelfSubjectAccessReview
				if err := json.NewDecoder(req.Body).Decode(&review); err != nil || req.Method != http.MethodPost {
					t.Errorf("asked by %s with a body that is no review: %v", req.Method, err)
				}
				want := &authorizationv1.ResourceAttributes{Verb: "create", Version: "v1", Namespace: "a", Resource: "pods", Subresource: "exec", Name: "b"}
				if got := review.Spec.ResourceAttributes; !reflect.DeepEqual(got, want) {
					t.Errorf("asked about %+v, want %+v", got, want)
				}
				if got := req.Header["Impersonate-User"]; !reflect.DeepEqual(got, []string{"host:alice"}) {
					t.Errorf("asked as %q, want as the caller", got)
				}
				w.WriteHeader(tc.code)
				io.WriteString(w, tc.answer)
			}), otherInfo())
			f.viewer = !tc.admin
			_, _, response := f.raw(t, "GET "+otherPrefix+tc.path+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n")
			if response.StatusCode != tc.want || reviews.Load() != tc.wantReviews {
				t.Fatalf("answered %d after %d reviews, want %d after %d", response.StatusCode, reviews.Load(), tc.want, tc.wantReviews)
			}
			if tc.want >= 400 {
				if got := status(t, response); !strings.Contains(got.Message, tc.wantMessage) {
					t.Errorf("answered %q, want %q in it", got.Message, tc.wantMessage)
				}
			}
		})
	}
}

// TestReviewWithRenewedCertificate has the question inside meet an authority
// that does not know the relay's certificate any more: it is asked again, whole.
func TestReviewWithRenewedCertificate(t *testing.T) {
	upgrade := switching(t, switched("websocket"), nil)
	f := newOtherFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != reviewPath {
			upgrade(w, req)
			return
		}
		var review authorizationv1.SelfSubjectAccessReview
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil || review.Spec.ResourceAttributes == nil {
			t.Errorf("asked without a question: %v", err)
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"status":{"allowed":true}}`)
	}), otherInfo())
	f.viewer = true
	if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
		t.Fatal(err)
	}
	f.clock.SetTime(f.clock.Now().Add(time.Minute))
	f.inside.ClientCA = f.inside.HostCA
	if _, _, response := f.raw(t, "GET "+otherPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("answered %d, want 101", response.StatusCode)
	}
}

func TestOtherEntranceIsLongRunning(t *testing.T) {
	for target, want := range map[string]bool{
		otherPrefix + "/api/v1/pods?watch=true":         true,
		otherPrefix + "/api/v1/namespaces/a/pods/b/log": true,
		otherPrefix + "/api/v1/pods":                    false,
		otherPrefix + "/../api/v1/pods?watch=true":      false,
	} {
		req := httptest.NewRequest(http.MethodGet, target, nil)
		req = req.WithContext(WithEntrance(req.Context(), otherEntrance()))
		if got := LongRunning(nil)(req, otherInfo()); got != want {
			t.Errorf("%s: got %t, want %t", target, got, want)
		}
	}
}

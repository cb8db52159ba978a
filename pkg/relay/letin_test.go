// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/client-go/kubernetes/scheme"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// TestNobodyIsLetIn has an API server inside refuse the relay itself, as while its rules are
// not loaded: the caller is asked to come again. What is refused to the caller stays theirs.
func TestNobodyIsLetIn(t *testing.T) {
	denied := func(name, verb, resource string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			responsewriters.Forbidden(authorizer.AttributesRecord{User: &user.DefaultInfo{Name: name}, Verb: verb, Resource: resource, Name: "alice", ResourceRequest: true}, w, req, "", scheme.Codecs)
		}
	}
	for name, test := range map[string]struct {
		inside http.HandlerFunc
		path   string
		accept string
		code   int
	}{
		"the relay":                    {denied(v1.RelayUser, "impersonate", "users"), "/api/v1/pods", "application/json", http.StatusServiceUnavailable},
		"the relay, in constraints":    {denied(v1.RelayUser, "impersonate:user-info", "users"), "/api/v1/pods", "application/json", http.StatusServiceUnavailable},
		"the relay, in protobuf":       {denied(v1.RelayUser, "impersonate", "users"), "/api/v1/pods", "application/vnd.kubernetes.protobuf", http.StatusServiceUnavailable},
		"the caller":                   {denied("alice", "impersonate", "users"), "/api/v1/pods", "application/json", http.StatusForbidden},
		"the caller, of the same name": {denied("alice", "get", v1.RelayUser), "/api/v1/pods", "application/json", http.StatusForbidden},
		"an application":               {denied(v1.RelayUser, "impersonate", "users"), "/api/v1/namespaces/a/services/b/proxy/", "application/json", http.StatusForbidden},
		"without a word":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "/api/v1/pods", "application/json", http.StatusForbidden},
		"at length": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, strings.Repeat(`User "garret:relay" cannot impersonate `, 200))
		}, "/api/v1/pods", "application/json", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, test.inside)
			request := newRequest(t, http.MethodPost, f.url(test.path), strings.NewReader("body"))
			request.Header.Set("Accept", test.accept)
			response := do(t, request)
			if response.StatusCode != test.code {
				t.Errorf("answered %d, want %d", response.StatusCode, test.code)
			}
			if again := response.Header.Get("Retry-After") != ""; again != (test.code == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After is %q", response.Header.Get("Retry-After"))
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || test.code == http.StatusForbidden && int64(len(body)) != response.ContentLength && response.ContentLength >= 0 {
				t.Errorf("got %d bytes of %d, %v: want the answer whole", len(body), response.ContentLength, err)
			}
			if name == "the caller" && !strings.Contains(string(body), `User \"alice\" cannot impersonate`) {
				t.Errorf("got %s, want what the API server inside says", body)
			}
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestLongRunning(t *testing.T) {
	const pods = testPrefix + "/api/v1/namespaces/a/pods"
	for _, tc := range []struct {
		name, method, target, upgrade string
		want                          bool
	}{
		{name: "a watch inside", target: pods + "?watch=true", want: true},
		{name: "a watch inside, of all namespaces", target: testPrefix + "/apis/apps/v1/deployments?watch=1", want: true},
		{name: "a watch of old", target: testPrefix + "/api/v1/watch/pods", want: true},
		{name: "logs", target: pods + "/b/log?follow=true", want: true},
		{name: "exec", method: "POST", target: pods + "/b/exec", want: true},
		{name: "a port forward", method: "POST", target: pods + "/b/portforward", want: true},
		{name: "a proxy inside", target: testPrefix + "/api/v1/namespaces/a/services/b/proxy/x", want: true},
		{name: "an upgrade, whatever its path", target: pods, upgrade: "websocket", want: true},
		{name: "a list", target: pods},
		{name: "a get", target: pods + "/b"},
		{name: "a get that says watch", target: pods + "/b?watch=true"},
		{name: "discovery", target: testPrefix + "/apis"},
		{name: "no path", target: testPrefix},
		{name: "a path that is refused", target: testPrefix + "/../x?watch=true"},
		{name: "a create", method: "POST", target: pods},
		{name: "not ours: asked of the next", target: "/apis/tenancy.garret.dev/v1/virtualclusters?watch=true", want: true},
		{name: "not ours: a list", target: "/apis/tenancy.garret.dev/v1/virtualclusters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			req := httptest.NewRequest(tc.method, tc.target, nil)
			if tc.upgrade != "" {
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", tc.upgrade)
			}
			factory := &apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
			info, err := factory.NewRequestInfo(req)
			if err != nil {
				t.Fatal(err)
			}
			next := func(_ *http.Request, info *apirequest.RequestInfo) bool { return info.Verb == "watch" }
			if got := LongRunning(next)(req, info); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestInnerQueryIsHidden(t *testing.T) {
	for _, tc := range []struct{ name, target, wantOuter, wantInner string }{
		{"of a relayed request", testPrefix + "/api?dryRun=All&path=x", "", "dryRun=All&path=x"},
		{"not of another subresource", "/apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters/demo/kubeconfig?dryRun=All", "dryRun=All", "dryRun=All"},
		{"not of a namesake in another group", "/apis/example.com/v1/namespaces/team/virtualclusters/demo/proxy?dryRun=All", "dryRun=All", "dryRun=All"},
		{"a semicolon separates nothing", testPrefix + "/api?a=b;watch=true&c=d", "", "c=d"},
		{"what only HTTP/2 lets through is encoded", testPrefix + "/api?a=b c", "", "a=b+c"},
		{"letters that are none of ASCII are, too", testPrefix + "/api?a=\u00e9", "", "a=%C3%A9"},
		{"what does not parse is left out", testPrefix + "/api?a=b&c=%zz", "", "a=b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			factory := &apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
			u, err := url.ParseRequestURI(tc.target)
			if err != nil {
				t.Fatal(err)
			}
			req := &http.Request{Method: http.MethodPost, URL: u}
			info, err := factory.NewRequestInfo(req)
			if err != nil {
				t.Fatal(err)
			}
			called := false
			WithInnerQuery(http.HandlerFunc(func(_ http.ResponseWriter, seen *http.Request) {
				called = true
				if seen.URL.RawQuery != tc.wantOuter || innerQuery(seen) != tc.wantInner {
					t.Errorf("outside sees %q and inside %q, want %q and %q", seen.URL.RawQuery, innerQuery(seen), tc.wantOuter, tc.wantInner)
				}
			})).ServeHTTP(httptest.NewRecorder(), req.WithContext(apirequest.WithRequestInfo(req.Context(), info)))
			if !called {
				t.Error("the request was not passed on")
			}
		})
	}
}

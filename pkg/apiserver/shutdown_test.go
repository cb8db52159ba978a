// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/filters"
)

// TestLongRequestsHaveTheirOwnConnection: what would be idle when a watch ends must not be reused.
func TestLongRequestsHaveTheirOwnConnection(t *testing.T) {
	handler := withOwnConnection(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		filters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString()))
	for name, test := range map[string]struct {
		verb, upgrade string
		major         int
		want          string
	}{
		"a watch":             {"watch", "", 1, "close"},
		"a list":              {"list", "", 1, ""},
		"an upgrade":          {"watch", "websocket", 1, ""},
		"a watch over HTTP/2": {"watch", "", 2, ""}, // which would say goodbye to all other streams
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, "/apis", nil)
			req.ProtoMajor = test.major
			if test.upgrade != "" {
				req.Header.Set("Upgrade", test.upgrade)
			}
			req = req.WithContext(apirequest.WithRequestInfo(req.Context(), &apirequest.RequestInfo{IsResourceRequest: true, Verb: test.verb}))
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, req)
			if got := answer.Header().Get("Connection"); got != test.want {
				t.Errorf("got Connection %q, want %q", got, test.want)
			}
		})
	}
}

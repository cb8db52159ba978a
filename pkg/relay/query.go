// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

type queryKey struct{}

// WithInnerQuery hides the query of a relayed request from next, which must be the API handler
// itself, the innermost of the handler chain.
//
// The query is addressed to the API server inside. The one outside would act
// upon parts of it: it answers 400 to any dryRun on a connecting subresource, so
// that kubectl --dry-run=server would not get through, and it decodes the rest
// into options of its own. The query waits in the request's context instead,
// where no caller can put one.
func WithInnerQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, ok := apirequest.RequestInfoFrom(req.Context())
		if ok {
			_, ok = entranceOf(req.Context(), info)
		}
		if !ok {
			next.ServeHTTP(w, req)
			return
		}
		hidden := req.WithContext(context.WithValue(req.Context(), queryKey{}, req.URL.RawQuery))
		u := *req.URL
		u.RawQuery, u.ForceQuery = "", false
		hidden.URL = &u
		next.ServeHTTP(w, hidden)
	})
}

// innerQuery is the query for the API server inside, on either side of
// WithInnerQuery. Parameters that do not parse are left out, and a query with
// characters that must be encoded in a URL, which only HTTP/2 lets through, is
// escaped again: in a request line they would end it.
func innerQuery(req *http.Request) string {
	raw, ok := req.Context().Value(queryKey{}).(string)
	if !ok {
		raw = req.URL.RawQuery
	}
	if raw == "" {
		return ""
	}
	values, err := url.ParseQuery(raw)
	if err != nil || strings.ContainsFunc(raw, notInQuery) {
		return values.Encode()
	}
	return raw
}

func notInQuery(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

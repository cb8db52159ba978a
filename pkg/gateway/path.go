// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/relay"
)

// Mark notes, in the context of requests to virtual clusters, which one they
// are to. It must be the outermost handler, since it decides what is authorised.
func Mark(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if entrance, ok := entranceOf(req.URL); ok {
			req = req.WithContext(relay.WithEntrance(req.Context(), entrance))
		}
		next.ServeHTTP(w, req)
	})
}

// entranceOf reads a path as it was sent. The names of namespaces and virtual
// clusters need no encoding, so what is encoded is not one of them.
func entranceOf(u *url.URL) (relay.Entrance, bool) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), v1.GatewayPrefix)
	if !ok {
		return relay.Entrance{}, false
	}
	namespace, rest, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(rest, "/")
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return relay.Entrance{}, false
	}
	return relay.Entrance{
		Namespace: namespace, Name: name,
		Prefix:         v1.GatewayPath(name, namespace),
		UpgradesInside: true,
	}, true
}

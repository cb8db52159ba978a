// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

var errOrigin = errors.New("a page of another origin may not use the client certificate of the browser that shows it")

// SameOrigin refuses requests that a browser makes for a page of another
// origin with the client certificate that is installed in it. Such a page could
// not read answers, but open a WebSocket, to which CORS does not apply, and so
// exec. A token has to be known to the page that sends it, so with one nothing
// is refused. It needs the user in the context.
func SameOrigin(next http.Handler, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if foreign(req) && byCertificate(req) {
			err := apierrors.NewForbidden(schema.GroupResource{}, "", errOrigin)
			responsewriters.ErrorNegotiated(err, serializer, v1.SchemeGroupVersion, w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// foreign tells whether the request names an origin that is not this address.
// Clients that are no browsers name none, or their server.
func foreign(req *http.Request) bool {
	return slices.ContainsFunc(req.Header.Values("Origin"), func(origin string) bool {
		u, err := url.Parse(origin)
		return err != nil || !strings.EqualFold(u.Host, req.Host)
	})
}

// byCertificate tells whether the user is who the certificate of this very
// connection says, and not whom a front proxy names, whose own certificate it is.
func byCertificate(req *http.Request) bool {
	caller, ok := apirequest.UserFrom(req.Context())
	if !ok || req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return false
	}
	sum := sha256.Sum256(req.TLS.PeerCertificates[0].Raw)
	return slices.Contains(caller.GetExtra()[user.CredentialIDKey], "X509SHA256="+hex.EncodeToString(sum[:]))
}

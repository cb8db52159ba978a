// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"cmp"
	"io"
	"net/http"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

// roundTripper sends one request with the caller's identity inside. The
// request's header must be the sender's own to change.
type roundTripper struct {
	connections *connections
	entry       entry
}

var _ http.RoundTripper = &roundTripper{}

// RoundTrip sends the request, and once more with a new certificate when the
// present one was not accepted and the request has no body that is spent.
func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	for repeated := false; ; repeated = true {
		connection, err := t.connections.get(req.Context(), t.entry.cluster)
		if err != nil {
			return nil, err
		}
		out, err := t.sealed(req)
		if err != nil {
			return nil, err
		}
		response, err := connection.transport.RoundTrip(out)
		if err == nil && forbidden(t.entry, response) {
			response.Body.Close()
			return nil, notLetIn(t.entry.cluster)
		}
		if !rejected(t.entry, response, err) {
			return response, err
		}
		renewed := t.connections.reject(connection)
		if response != nil {
			response.Body.Close()
		}
		switch {
		case !renewed || repeated:
			return nil, refused(t.entry.cluster)
		case req.Body != nil && req.Body != http.NoBody && req.GetBody == nil:
			return nil, renewedLate(t.entry.cluster)
		}
	}
}

// sealed is the request with the caller's identity, and with a body of its own
// where that can be had: a caller's request has it once.
func (t *roundTripper) sealed(req *http.Request) (*http.Request, error) {
	out := req.WithContext(req.Context())
	out.Trailer = nil
	seal(out.Header, t.entry.identity)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	return out, nil
}

// rejected tells whether the relay's certificate was not accepted. An
// application behind a proxy subresource inside may answer 401 on its own
// account; that is for the caller.
func rejected(e entry, response *http.Response, err error) bool {
	if err != nil {
		return isAlert(err)
	}
	return response.StatusCode == http.StatusUnauthorized && !isProxied(e.target.Path)
}

// maxDenial bounds what is read of an answer to tell who is refused; a Status about a user is
// below 1 KiB.
const maxDenial = 4 << 10

// forbidden tells whether the API server inside lets the relay act for nobody, as while its
// rules are not loaded, or not there yet. It has done nothing then. What is read of another
// answer is restored. The user's name is nobody else's, and an application behind a proxy
// subresource speaks on its own account.
func forbidden(e entry, response *http.Response) bool {
	length := response.ContentLength
	if response.StatusCode != http.StatusForbidden || length <= 0 || length > maxDenial || isProxied(e.target.Path) {
		return false
	}
	body, err := io.ReadAll(response.Body)
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), failing{err}), response.Body}
	return err == nil && deniesRelay(body)
}

// deniesRelay tells whether a Status, in any form, is about the relay's own rights.
func deniesRelay(body []byte) bool {
	// In JSON the name stands between quotes with backslashes before them.
	text := bytes.ReplaceAll(body, []byte(`\"`), []byte(`"`))
	return bytes.Contains(text, []byte(`User "`+v1.RelayUser+`" cannot impersonate`))
}

// failing reads as a body does that broke off, or has come to its end.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }

func notLetIn(cluster *tenancy.VirtualCluster) error {
	return access.Unavailable(cluster, retryUnreachable, "RightsNotLoaded", "its API server does not let Garret act for anybody yet: the rules for that are being put in place or loaded")
}

func refused(cluster *tenancy.VirtualCluster) error {
	return access.Unavailable(cluster, 0, "CredentialRefused", "its API server does not accept the relay's certificate")
}

func renewedLate(cluster *tenancy.VirtualCluster) error {
	return access.Unavailable(cluster, retryRenewed, "CredentialRenewed", "its API server did not accept the relay's certificate, which has been renewed")
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net"
	"net/http"
	"strings"

	"garret.dev/garret/pkg/access"
)

const (
	headerUser        = "Impersonate-User"
	headerGroup       = "Impersonate-Group"
	headerSubprotocol = "Sec-Websocket-Protocol"
	headerForwarded   = "X-Forwarded-For"
	headerAuditID     = "Audit-Id"

	// bearerSubprotocol begins the WebSocket subprotocol that is a bearer token.
	bearerSubprotocol = "base64url.bearer.authorization.k8s.io."
)

// seal makes h the header of a request by identity, whatever stood in it. It
// must be the last to touch it.
func seal(h http.Header, identity access.Identity) {
	for name := range h {
		if speaksOfIdentity(name) {
			delete(h, name)
		}
	}
	dropTokenSubprotocols(h)
	h[headerUser] = []string{identity.User}
	h[headerGroup] = append([]string(nil), identity.Groups...)
}

// speaksOfIdentity compares without regard to case, and takes an underscore for
// a dash, as gateways do that turn headers into variables.
func speaksOfIdentity(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return name == "authorization" || name == "proxy-authorization" ||
		strings.HasPrefix(name, "impersonate-") || strings.HasPrefix(name, "x-remote-")
}

// dropTokenSubprotocols removes the caller's token for the host from where
// browsers, which cannot set a header on a WebSocket, put it.
func dropTokenSubprotocols(h http.Header) {
	values, ok := h[headerSubprotocol]
	if !ok {
		return
	}
	var kept []string
	for _, value := range values {
		for protocol := range strings.SplitSeq(value, ",") {
			protocol = strings.TrimSpace(protocol)
			if protocol != "" && !strings.HasPrefix(strings.ToLower(protocol), bearerSubprotocol) {
				kept = append(kept, protocol)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, headerSubprotocol)
		return
	}
	h[headerSubprotocol] = []string{strings.Join(kept, ", ")}
}

// dropHopByHop removes what concerns one connection only, and what the header
// Connection says does.
func dropHopByHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range []string{
		"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		delete(h, name)
	}
}

// forwardedFor notes the caller's address for the audit inside, as a
// kube-apiserver does for those behind it: what came from before is kept, and
// is worth what its sender is.
func forwardedFor(out http.Header, in *http.Request) {
	host, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		return
	}
	out.Set(headerForwarded, strings.Join(append(in.Header.Values(headerForwarded), host), ", "))
}

// answerHeader prepares the header of an answer from inside for the caller.
// What the server outside has set already is in its way, except warnings, which
// add up.
func answerHeader(inner, outer http.Header) {
	for name := range inner {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "access-control-"), lower == "alt-svc", lower == "strict-transport-security":
			// These speak for the origin, which is the host's.
			delete(inner, name)
		case lower != "warning":
			delete(outer, name)
		}
	}
}

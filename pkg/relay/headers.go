// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"net"
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/audit"

	"garret.dev/garret/pkg/access"
)

const (
	headerUser        = "Impersonate-User"
	headerGroup       = "Impersonate-Group"
	headerSubprotocol = "Sec-Websocket-Protocol"
	headerForwarded   = "X-Forwarded-For"
	headerAuditID     = "Audit-Id"
	headerAgent       = "User-Agent"

	// bearerSubprotocol begins the WebSocket subprotocol that is a bearer token.
	bearerSubprotocol = "base64url.bearer.authorization.k8s.io."
)

// seal makes h the header of a request by identity, whatever stood in it. It
// must be the last to touch it.
func seal(h http.Header, identity access.Identity) {
	for name, values := range h {
		switch {
		case speaksOfIdentity(name):
			delete(h, name)
		case strings.EqualFold(name, headerSubprotocol):
			if kept := withoutTokens(values); kept != "" {
				h[name] = []string{kept}
			} else {
				delete(h, name)
			}
		}
	}
	h[headerUser] = []string{identity.User}
	h[headerGroup] = append([]string(nil), identity.Groups...)
}

// speaksOfIdentity is true for the headers that an API server takes a user
// from, and those that hold a credential of the caller's for the host.
func speaksOfIdentity(name string) bool {
	return equalFold(name, "authorization") || equalFold(name, "proxy-authorization") || equalFold(name, "cookie") || equalFold(name, "cookie2") ||
		hasPrefixFold(name, "impersonate-") || hasPrefixFold(name, "x-remote-")
}

// speaksOfWay is true for what proxies before us say about the caller's way,
// who may have been told so by the caller, or tell what is the host's alone:
// some pass a token in it.
func speaksOfWay(name string) bool {
	return equalFold(name, "forwarded") || hasPrefixFold(name, "x-forwarded-")
}

func equalFold(name, lower string) bool {
	return len(name) == len(lower) && hasPrefixFold(name, lower)
}

// hasPrefixFold compares without regard to case, and takes an underscore for a
// dash, as gateways do that turn headers into variables.
func hasPrefixFold(name, lower string) bool {
	if len(name) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// withoutTokens removes the caller's token for the host from where browsers,
// which cannot set a header on a WebSocket, put it.
func withoutTokens(values []string) string {
	var kept []string
	for _, value := range values {
		for protocol := range strings.SplitSeq(value, ",") {
			protocol = strings.TrimSpace(protocol)
			if protocol != "" && !strings.HasPrefix(strings.ToLower(protocol), bearerSubprotocol) {
				kept = append(kept, protocol)
			}
		}
	}
	return strings.Join(kept, ", ")
}

// requestHeader is the header of a caller's request as far as it goes inside:
// without what concerns the connection, and what the header Connection says
// does, and without identities.
func requestHeader(req *http.Request) http.Header {
	out := make(http.Header, len(req.Header)+4)
	named := namedInConnection(req.Header)
	for name, values := range req.Header {
		// The server outside has answered Expect, by reading.
		if !isHopByHop(name) && !named[name] && !speaksOfIdentity(name) && !speaksOfWay(name) && name != "Expect" {
			out[name] = values
		}
	}
	if _, ok := out[headerAgent]; !ok {
		// So that the sender does not put its own.
		out[headerAgent] = []string{""}
	}
	forwardedFor(out, req)
	passAuditID(req.Context(), out)
	passTrace(req.Context(), out)
	return out
}

// isHopByHop is true for what concerns one connection only.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// namedInConnection are the headers that the header Connection names, spelled
// as net/http spells them.
func namedInConnection(h http.Header) map[string]bool {
	var named map[string]bool
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				if named == nil {
					named = map[string]bool{}
				}
				named[http.CanonicalHeaderKey(name)] = true
			}
		}
	}
	return named
}

// forwardedFor notes the caller's address for the audit inside, as a
// kube-apiserver does for those behind it: what came from before is kept, and
// is worth what its sender is.
func forwardedFor(out http.Header, in *http.Request) {
	host, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		return
	}
	before := in.Header[headerForwarded]
	out[headerForwarded] = []string{strings.Join(append(before[:len(before):len(before)], host), ", ")}
}

// passAuditID gives the request the same audit id inside as outside.
func passAuditID(ctx context.Context, h http.Header) {
	if id, ok := audit.AuditIDFrom(ctx); ok {
		h[headerAuditID] = []string{string(id)}
	}
}

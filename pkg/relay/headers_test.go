// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"garret.dev/garret/pkg/access"
)

func TestSeal(t *testing.T) {
	identity := access.Identity{User: "host:alice", Groups: []string{"garret:viewers", "host:dev"}}
	h := http.Header{
		"Authorization":            {"Bearer host-token"},
		"Proxy-Authorization":      {"Basic x"},
		"Impersonate-User":         {"system:admin"},
		"Impersonate-Group":        {"system:masters"},
		"Impersonate-Uid":          {"0"},
		"Impersonate-Extra-Scopes": {"all"},
		"impersonate-user":         {"spelled otherwise"},
		"IMPERSONATE_USER":         {"for a gateway"},
		"X-Remote-User":            {"alice"},
		"X-Remote-Group":           {"system:masters"},
		"X-Remote-Uid":             {"1"},
		"X-Remote-Extra-Scopes":    {"all"},
		"X_remote_user":            {"root"},
		"Sec-Websocket-Protocol":   {"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0", "Base64URL.bearer.authorization.k8s.io.c2VjcmV0"},
		"Accept":                   {"application/json"},
		"X-Remote":                 {"is nobody's name"},
	}
	seal(h, identity)
	want := http.Header{
		"Impersonate-User":       {"host:alice"},
		"Impersonate-Group":      {"garret:viewers", "host:dev"},
		"Sec-Websocket-Protocol": {"v5.channel.k8s.io"},
		"Accept":                 {"application/json"},
		"X-Remote":               {"is nobody's name"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v, want %v", h, want)
	}
	onlyToken := http.Header{"Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io.c2VjcmV0"}}
	seal(onlyToken, identity)
	if _, ok := onlyToken["Sec-Websocket-Protocol"]; ok {
		t.Errorf("got %v, want no subprotocol left", onlyToken)
	}
}

// FuzzHeaders looks for a header that survives the way and speaks of identity.
func FuzzHeaders(f *testing.F) {
	for _, seed := range [][2]string{
		{"Impersonate-User", "root"}, {"impersonate-group", "system:masters"}, {"Connection", "Impersonate-User, Impersonate-Group"},
		{"X-Remote-User", "root"}, {"Impersonate_User", "root"}, {"Sec-WebSocket-Protocol", "a,base64url.bearer.authorization.k8s.io.x"},
		{"Connection", "close, Upgrade"}, {"Upgrade", "h2c"}, {"Trailer", "Impersonate-User"}, {"Te", "trailers"},
		{"Impersonate-Extra-A%2fB", "x"}, {" Impersonate-User", "x"}, {"IMPERSONATE-UID", "0"},
	} {
		f.Add(seed[0], seed[1])
	}
	identity := access.Identity{User: "host:alice", Groups: []string{"garret:viewers"}}
	f.Fuzz(func(t *testing.T, name, value string) {
		for _, h := range []http.Header{{name: {value}}, {http.CanonicalHeaderKey(name): {value}}} {
			h = requestHeader(&http.Request{Header: h})
			seal(h, identity)
			if got := h["Impersonate-User"]; len(got) != 1 || got[0] != "host:alice" {
				t.Errorf("%q: %q: user is %q", name, value, got)
			}
			for key, values := range h {
				lower := strings.ReplaceAll(strings.ToLower(key), "_", "-")
				ours := key == "Impersonate-User" || key == "Impersonate-Group"
				if !ours && strings.HasPrefix(lower, "impersonate-") || strings.HasPrefix(lower, "x-remote-") || lower == "authorization" {
					t.Errorf("%q: %q: left %q", name, value, key)
				}
				if key == "Sec-Websocket-Protocol" && strings.Contains(", "+strings.ToLower(strings.Join(values, ", ")), ", "+bearerSubprotocol) {
					t.Errorf("%q: %q: a token is left", name, value)
				}
			}
			if got := h["Impersonate-Group"]; len(got) != 1 || got[0] != "garret:viewers" {
				t.Errorf("%q: %q: groups are %q", name, value, got)
			}
		}
	})
}

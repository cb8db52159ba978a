// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"reflect"
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

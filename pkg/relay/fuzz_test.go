// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"garret.dev/garret/pkg/access"
)

// FuzzInnerPath looks for a path that is let through and leads, under any
// reading, above the root or to another host, or that the server inside reads
// otherwise than it was judged here.
func FuzzInnerPath(f *testing.F) {
	for _, seed := range []string{
		"", "/", "/api/v1", "/../x", "/%2e%2e/x", "/a%2fb", "/a%5cb", "//evil.example/x", "/a/./b", "/%252e%252e/",
		"/a;b", "/?x=y", "/a?../b", "/%00", "/a/..;/b", "/é", "/%C3%A9", "/a//..//b", "https://evil.example/", "/.%2e/", "/%2E/",
		"/%c0%ae%c0%ae/", "/..%3b/", "/api/v1/namespaces/a/pods/b/exec", "//api//v1/watch/pods", "/apis/apps/v1/deployments?watch=true",
		"/api/v1/namespaces/a/services/https:b:c/proxy/d", "/a#b", "/a b", "/%", "/:80", "/@h/", "/[::1]/", "/a%3fb%23c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, suffix string) {
		u, err := url.ParseRequestURI(testPrefix + suffix)
		if err != nil {
			return
		}
		got, err := innerPath(u, testPrefix)
		if err != nil {
			return
		}
		raw := got.EscapedPath()
		if u.EscapedPath() != testPrefix+raw && (raw != "/" || u.EscapedPath() != testPrefix) {
			t.Errorf("%q: the host authorised %q, and %q is relayed", suffix, u.EscapedPath(), raw)
		}
		if u.Path != testPrefix+got.Path && (raw != "/" || u.Path != testPrefix) {
			t.Errorf("%q: the host read %q, and %q is relayed", suffix, u.Path, got.Path)
		}
		// What is written, and how a server reads it.
		got.Scheme, got.Host = "https", "vc-demo.team.svc"
		written := got.RequestURI()
		again, err := url.ParseRequestURI(written)
		if err != nil {
			t.Fatalf("%q: %q cannot be read: %v", suffix, written, err)
		}
		if again.Host != "" || again.User != nil || again.RawQuery != "" || again.EscapedPath() != raw || again.Path != got.Path {
			t.Errorf("%q: %q was read as %#v", suffix, written, again)
		}
		whole, err := url.Parse(got.String())
		if err != nil || whole.Host != got.Host || whole.User != nil || whole.EscapedPath() != raw {
			t.Errorf("%q: %q was read as %v, %v", suffix, got, whole, err)
		}
		if strings.ContainsFunc(written, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '?' || r == '#' }) {
			t.Errorf("%q: %q has what ends or splits a path", suffix, written)
		}
		for _, segment := range strings.FieldsFunc(got.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
			segment, _, _ = strings.Cut(segment, ";")
			if segment == "." || segment == ".." {
				t.Errorf("%q: %q has a dot segment", suffix, got.Path)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			here, hereErr := infoInside(&http.Request{Method: method, URL: got})
			there, thereErr := infoInside(&http.Request{Method: method, URL: again})
			if !reflect.DeepEqual(here, there) || (hereErr == nil) != (thereErr == nil) {
				t.Errorf("%q: %s is %+v here and %+v inside", suffix, method, here, there)
			}
		}
	})
}

// FuzzSeal looks for a header that survives the way and speaks of identity.
func FuzzSeal(f *testing.F) {
	for _, seed := range [][2]string{
		{"Impersonate-User", "root"}, {"impersonate-group", "system:masters"}, {"Connection", "Impersonate-User, Impersonate-Group"},
		{"X-Remote-User", "root"}, {"Impersonate_User", "root"}, {"Sec-WebSocket-Protocol", "a,base64url.bearer.authorization.k8s.io.x"},
		{"Connection", "close, Upgrade"}, {"Upgrade", "h2c"}, {"Trailer", "Impersonate-User"}, {"Te", "trailers"},
		{"Impersonate-Extra-A%2fB", "x"}, {" Impersonate-User", "x"}, {"IMPERSONATE-UID", "0"}, {"Cookie", "a=b"}, {"X-Forwarded-User", "root"},
		{"sec-websocket-protocol", ", ,BASE64URL.BEARER.authorization.k8s.io."}, {"Authorization", ""}, {"proxy_authorization", "Basic"},
	} {
		f.Add(seed[0], seed[1])
	}
	identity := access.Identity{User: "host:alice", Groups: []string{"garret:viewers", "host:dev"}}
	f.Fuzz(func(t *testing.T, name, value string) {
		for _, in := range []http.Header{{name: {value}}, {http.CanonicalHeaderKey(name): {value, value}}, {"Connection": {value}, name: {value}}} {
			sent := requestHeader(&http.Request{Header: in, RemoteAddr: "192.0.2.1:1"})
			seal(sent, identity)
			// The seal alone must hold, too, whatever is done to a header before it.
			alone := in.Clone()
			seal(alone, identity)
			for _, h := range []http.Header{sent, alone} {
				checkSealed(t, h, identity)
			}
			for _, hop := range []string{"Connection", "Upgrade", "Te", "Trailer", "Transfer-Encoding", "Expect", "Forwarded", "X-Forwarded-User"} {
				if _, ok := sent[hop]; ok {
					t.Errorf("%q: %q: left %s", name, value, hop)
				}
			}
		}
	})
}

// checkSealed compares as the laxest of servers would, who takes an underscore
// for a dash.
func checkSealed(t *testing.T, h http.Header, identity access.Identity) {
	t.Helper()
	seen := map[string][]string{}
	for key, values := range h {
		lower := strings.ReplaceAll(strings.ToLower(key), "_", "-")
		seen[lower] = append(seen[lower], values...)
		switch {
		case lower == "impersonate-user", lower == "impersonate-group":
		case strings.HasPrefix(lower, "impersonate-"), strings.HasPrefix(lower, "x-remote-"),
			lower == "authorization", lower == "proxy-authorization", lower == "cookie":
			t.Errorf("left %q: %q", key, values)
		case lower == "sec-websocket-protocol":
			for value := range strings.SplitSeq(strings.ToLower(strings.Join(values, ",")), ",") {
				if strings.HasPrefix(strings.TrimSpace(value), bearerSubprotocol) {
					t.Errorf("left the token in %q: %q", key, values)
				}
			}
		}
	}
	if !slices.Equal(seen["impersonate-user"], []string{identity.User}) || !slices.Equal(seen["impersonate-group"], identity.Groups) {
		t.Errorf("the identity is %q with %q", seen["impersonate-user"], seen["impersonate-group"])
	}
}

// FuzzUpgradeProtocol looks for a request that is tunnelled and should not be,
// or is not and would still be an upgrade to the server inside.
func FuzzUpgradeProtocol(f *testing.F) {
	for _, seed := range []struct {
		method, connection, upgrade string
		length                      int64
	}{
		{"GET", "Upgrade", "websocket", 0}, {"POST", "upgrade", "SPDY/3.1", 0}, {"GET", "Upgrade, HTTP2-Settings", "h2c", 0},
		{"GET", "", "websocket", 0}, {"GET", "Upgrade", "", 0}, {"POST", "Upgrade", "websocket", 0}, {"POST", "Upgrade", "SPDY/3.1", 3},
		{"GET", "keep-alive,\tUPGRADE", "WebSocket", 0}, {"GET", "Upgrade", "websocket, h2c", -1}, {"GET", "up grade", "TLS/1.2", 0},
	} {
		f.Add(seed.method, seed.connection, seed.upgrade, seed.length)
	}
	f.Fuzz(func(t *testing.T, method, connection, upgrade string, length int64) {
		req := &http.Request{Method: method, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, ContentLength: length}
		if connection != "" {
			req.Header.Set("Connection", connection)
		}
		if upgrade != "" {
			req.Header.Set("Upgrade", upgrade)
		}
		protocol, err := upgradeProtocol(req)
		switch lower := strings.ToLower(protocol); {
		case err != nil:
			if protocol != "" {
				t.Errorf("%q in spite of %v", protocol, err)
			}
		case protocol == "":
			if upgrade != "" || slices.Contains(strings.Split(strings.ReplaceAll(strings.ToLower(connection), " ", ""), ","), "upgrade") {
				t.Errorf("Connection %q and Upgrade %q are taken for none", connection, upgrade)
			}
			if h := requestHeader(req); len(h["Upgrade"]) > 0 || len(h["Connection"]) > 0 {
				t.Errorf("%v goes inside with an ordinary request", h)
			}
		case lower != "websocket" && lower != "spdy/3.1", protocol != upgrade:
			t.Errorf("%q is upgraded to for %q", protocol, upgrade)
		case length != 0, !strings.Contains(strings.ToLower(connection), "upgrade"), method != http.MethodGet && (method != http.MethodPost || lower != "spdy/3.1"):
			t.Errorf("%s with Connection %q and %d bytes is upgraded", method, connection, length)
		}
		if !wantsUpgrade(req.Header) && err != nil {
			t.Errorf("%v for a request that is none to upgrade", err)
		}
	})
}

// FuzzInnerQuery looks for a query that the server inside reads otherwise than
// it was judged here, or that ends the line it is written in.
func FuzzInnerQuery(f *testing.F) {
	for _, seed := range []string{
		"", "watch=true", "a=b;watch=true", "watch=true&watch=false", "a=%zz&b=c", "a=b c", "a=b#c", "a=\u00e9", "a=%0d%0ax:y", "dryRun=All&path=/x",
		"a=b HTTP/1.1", "fieldSelector=metadata.name%3Dx&watch=1", "&&=&", "a=\xff", "?a=b", "%61=b", "+", "a[]=b", "command=sh&command=-c",
	} {
		f.Add(seed)
	}
	inside := newJudge()
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI("/api/v1/pods?" + raw)
		if err != nil {
			return
		}
		got := innerQuery(&http.Request{Method: http.MethodGet, URL: u})
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) || strings.Contains(got, ";") {
			t.Errorf("%q became %q, which not all read alike", raw, got)
		}
		values, err := url.ParseQuery(got)
		if err != nil {
			t.Errorf("%q became %q, which does not parse: %v", raw, got, err)
		}
		// What parses arrives, and in the order that it had for its name.
		if want, _ := url.ParseQuery(u.RawQuery); !reflect.DeepEqual(values, want) {
			t.Errorf("%q became %q: %v, want %v", raw, got, values, want)
		}
		inner := &url.URL{Scheme: "https", Host: "h", Path: "/api/v1/pods", RawQuery: got}
		again, err := url.ParseRequestURI(inner.RequestURI())
		if err != nil || again.RawQuery != got || again.Path != inner.Path {
			t.Fatalf("%q: %q was read as %v, %v", raw, inner.RequestURI(), again, err)
		}
		verb, long := inside.kind(http.MethodGet, inner)
		verbThere, longThere := inside.kind(http.MethodGet, again)
		if verb != verbThere || long != longThere {
			t.Errorf("%q: is %s, long-running %t here, and %s, %t inside", raw, verb, long, verbThere, longThere)
		}
		if once := innerQuery(&http.Request{URL: again}); once != got {
			t.Errorf("%q: %q becomes %q when it is relayed again", raw, got, once)
		}
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const (
	// last is the end of a request over HTTP/1.1 after which none follows.
	last = "Connection: close\r\n\r\n"
	list = "/api/v1/pods"
)

// TestHostileHeaders sends headers as bytes, and compares all that arrives.
func TestHostileHeaders(t *testing.T) {
	for name, tc := range map[string]struct {
		send string
		// more are the fields that arrive beside the sealed ones.
		more []string
	}{
		"none":                        {},
		"an identity":                 {send: "Impersonate-User: root\r\nImpersonate-Group: system:masters\r\nImpersonate-Uid: 0\r\nImpersonate-Extra-Scopes: all\r\n"},
		"an identity, strangely":      {send: "iMpErSoNaTe-uSeR: root\r\nIMPERSONATE-GROUP: system:masters\r\nimpersonate-extra-a%2fb: x\r\n"},
		"an identity, twice":          {send: "Impersonate-User: root\r\nImpersonate-User: admin\r\n"},
		"an identity, for a gateway":  {send: "Impersonate_User: root\r\nX_Remote_User: root\r\nX-Remote_Group: system:masters\r\n"},
		"an identity without a value": {send: "Impersonate-User:\r\nImpersonate-Group: \r\n"},
		"a front proxy's":             {send: "X-Remote-User: root\r\nX-Remote-Group: system:masters\r\nX-Remote-Extra-Scopes: all\r\nX-Remote-Uid: 0\r\n"},
		"credentials":                 {send: "Authorization: Bearer host\r\nProxy-Authorization: Basic host\r\nCookie: session=host\r\nCookie: more=host\r\n"},
		"a token as a subprotocol":    {send: "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.aG9zdA\r\n"},
		"a token among subprotocols": {send: "Sec-WebSocket-Protocol: v5.channel.k8s.io, BASE64URL.bearer.authorization.k8s.io.aG9zdA\r\n",
			more: []string{"sec-websocket-protocol: v5.channel.k8s.io\n"}},
		"what proxies say":            {send: "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nX-Forwarded-User: root\r\nX-Forwarded-Access-Token: host\r\nForwarded: for=evil\r\n"},
		"addresses":                   {send: "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", more: []string{"x-forwarded-for: 192.0.2.1, 192.0.2.2, 127.0.0.1\n"}},
		"Connection names identity":   {send: "Connection: Impersonate-User, impersonate-group, x-forwarded-for, host, :path\r\n"},
		"Connection names an accept":  {send: "Connection: Accept\r\nAccept: a/b\r\n"},
		"what is of this hop":         {send: "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTe: trailers\r\nTrailer: Impersonate-User\r\n"},
		"settings of HTTP/2":          {send: "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"},
		"pseudo fields of HTTP/2":     {send: "X: a\r\n", more: []string{"x: a\n"}},
		"an Expect":                   {send: "Expect: 100-continue\r\n"},
		"several of one name":         {send: "Accept: a/b\r\nAccept: c/d\r\nUser-Agent: kubectl\r\n", more: []string{"accept: a/b\n", "accept: c/d\n", "user-agent: kubectl\n"}},
		"what is odd but allowed":     {send: "X-Odd: \"quoted\"; a=\xc3\xa9\r\nX-Empty:\r\n", more: []string{"x-odd: \"quoted\"; a=\xc3\xa9\n", "x-empty: \n"}},
		"overridden methods are data": {send: "X-Http-Method-Override: DELETE\r\n", more: []string{"x-http-method-override: DELETE\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			if got := codeOf(t, f.send(t, "GET "+testPrefix+list+" HTTP/1.1\r\nHost: evil.example\r\n"+tc.send+last)); got != http.StatusOK {
				t.Fatalf("answered %d, want 200", got)
			}
			if got, want := inside.only(t).head, sealedFields("GET", list, tc.more...); got != want {
				t.Errorf("this arrived:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestHostileRequestLines is about what is before the headers, and how a
// request is put into bytes at all.
func TestHostileRequestLines(t *testing.T) {
	get := "GET " + testPrefix + list
	for name, tc := range map[string]struct {
		send string
		code int
		// path is where it arrives, if it does.
		path string
	}{
		"another host in the target": {send: "GET http://evil.example" + testPrefix + list + " HTTP/1.1\r\nHost: evil.example\r\n", code: 200, path: list},
		"a user in the target":       {send: "GET http://root:pass@evil.example" + testPrefix + list + " HTTP/1.1\r\nHost: evil.example\r\n", code: 200, path: list},
		"no host":                    {send: get + " HTTP/1.1\r\n", code: 400},
		"two hosts":                  {send: get + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n", code: 400},
		"a host with a path":         {send: get + " HTTP/1.1\r\nHost: a/../b\r\n", code: 400},
		"HTTP/1.0":                   {send: get + " HTTP/1.0\r\n", code: 200, path: list},
		"HTTP/3.0":                   {send: get + " HTTP/3.0\r\nHost: h\r\n", code: 505},
		"a fragment":                 {send: get + "#/../x HTTP/1.1\r\nHost: h\r\n", code: 400},
		"a query of semicolons":      {send: get + "?a=b;c=d&e=f HTTP/1.1\r\nHost: h\r\n", code: 200, path: list + "?e=f"},
		"a query that is broken":     {send: get + "?a=%zz&b=c HTTP/1.1\r\nHost: h\r\n", code: 200, path: list + "?b=c"},
		"a query with a line break":  {send: get + "?a=%0d%0aImpersonate-User:%20root HTTP/1.1\r\nHost: h\r\n", code: 200, path: list + "?a=%0d%0aImpersonate-User:%20root"},
		"a query not of ASCII":       {send: get + "?a=\xc3\xa9#x HTTP/1.1\r\nHost: h\r\n", code: 200, path: list + "?a=%C3%A9%23x"},
		"a query without end":        {send: get + "? HTTP/1.1\r\nHost: h\r\n", code: 200, path: list},
		"OPTIONS":                    {send: strings.Replace(get, "GET", "OPTIONS", 1) + " HTTP/1.1\r\nHost: h\r\n", code: 405},
		"TRACE":                      {send: strings.Replace(get, "GET", "TRACE", 1) + " HTTP/1.1\r\nHost: h\r\n", code: 405},
		"a method of one's own":      {send: strings.Replace(get, "GET", "GETS", 1) + " HTTP/1.1\r\nHost: h\r\n", code: 405},
		"a method in small letters":  {send: strings.Replace(get, "GET", "get", 1) + " HTTP/1.1\r\nHost: h\r\n", code: 405},
		"the start of HTTP/2":        {send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", code: 500},
		"CONNECT":                    {send: "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n", code: 500},
		"CONNECT by path":            {send: "CONNECT " + testPrefix + list + " HTTP/1.1\r\nHost: h\r\n", code: 405},
		"everything":                 {send: "OPTIONS * HTTP/1.1\r\nHost: h\r\n", code: 200},
		"a space before the colon":   {send: get + " HTTP/1.1\r\nHost: h\r\nImpersonate-User : root\r\n", code: 400},
		"a folded header":            {send: get + " HTTP/1.1\r\nHost: h\r\nX-A: b\r\n Impersonate-User: root\r\n", code: 200, path: list},
		"a zero in a header":         {send: get + " HTTP/1.1\r\nHost: h\r\nX-A: b\x00c\r\n", code: 400},
		"a return in a header":       {send: get + " HTTP/1.1\r\nHost: h\r\nX-A: b\rImpersonate-User: root\r\n", code: 400},
		"a line feed alone":          {send: get + " HTTP/1.1\r\nHost: h\r\nX-A: b\nImpersonate-User: root\r\n", code: 200, path: list},
		"a zero in the target":       {send: get + "\x00 HTTP/1.1\r\nHost: h\r\n", code: 400},
		"a tab for a space":          {send: "GET\t" + testPrefix + list + "\tHTTP/1.1\r\nHost: h\r\n", code: 400},
		"two spaces":                 {send: "GET  " + testPrefix + list + " HTTP/1.1\r\nHost: h\r\n", code: 400},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			if got := codeOf(t, f.send(t, tc.send+last)); got != tc.code {
				t.Errorf("answered %d, want %d", got, tc.code)
			}
			if tc.path == "" {
				inside.none(t)
				return
			}
			got := inside.only(t).head
			if !strings.Contains(got, ":path: "+tc.path+"\n") {
				t.Errorf("this arrived, want path %s:\n%s", tc.path, got)
			}
			for line := range strings.Lines(got) {
				if strings.HasPrefix(line, "impersonate-user:") && line != "impersonate-user: host:alice\n" || strings.HasPrefix(line, ":authority:") && line != ":authority: vc-demo.team.svc\n" {
					t.Errorf("this arrived: %s", line)
				}
			}
		})
	}
}

// TestHostilePaths is about where a path leads. What is refused never arrives.
func TestHostilePaths(t *testing.T) {
	for path, want := range map[string]string{
		"":                        "/",
		"/":                       "/",
		"//":                      "//",
		"//evil.example/x":        "//evil.example/x",
		"/api/v1/a%20b/%C3%A9/":   "/api/v1/a%20b/%C3%A9/",
		"/a%252e%252e%252fb":      "/a%252e%252e%252fb",
		"/a;b=c/...":              "/a;b=c/...",
		"/@evil.example:443/":     "/@evil.example:443/",
		"/https://evil.example/":  "/https://evil.example/",
		"/../kubeconfig":          "",
		"/a/../../kubeconfig":     "",
		"/a/..":                   "",
		"/./a":                    "",
		"/%2e%2e/kubeconfig":      "",
		"/%2E./kubeconfig":        "",
		"/..%2fkubeconfig":        "",
		"/..%5ckubeconfig":        "",
		"/..\\kubeconfig":         "",
		"/..;/kubeconfig":         "",
		"/%2e%2e%3bx/kubeconfig":  "",
		"/a%00b":                  "",
		"/a%0d%0aX-A:%20b":        "",
		"/%7f":                    "",
		"/%c2%85":                 "",
		"/%c0%ae%c0%ae/x":         "",
		"/%e0%80%af":              "",
		"/%ff":                    "",
		"/%zz":                    "",
		"/%":                      "",
		"x/api":                   "",
		"/../../other/proxy/api":  "",
		"%2fapi":                  "",
		"/api/v1/\xc3\xa9":        "/api/v1/%C3%A9",
		"/api/v1/\xff":            "",
		"/a%2Fb?c=/../d":          "",
		"/a?c=/../d&e=%2e%2e%2ff": "/a?c=/../d&e=%2e%2e%2ff",
	} {
		t.Run(path, func(t *testing.T) {
			f, inside := newHostileFront(t)
			answer := f.send(t, "GET "+testPrefix+path+" HTTP/1.1\r\nHost: h\r\n"+last)
			if want != "" {
				if got := inside.only(t).head; got != sealedFields("GET", want) {
					t.Errorf("this arrived, want path %s:\n%s", want, got)
				}
				return
			}
			inside.none(t)
			if got := codeOf(t, answer); got < 400 {
				t.Errorf("answered %d, want an error", got)
			}
		})
	}
}

// TestHostileBodies sends bodies whose end can be seen in two places, with
// another request in between.
func TestHostileBodies(t *testing.T) {
	const hidden = "DELETE /api/v1/secrets HTTP/1.1\r\nHost: h\r\nImpersonate-User: root\r\n\r\n"
	for name, tc := range map[string]struct {
		send string
		// body is what arrives, if anything does.
		body string
		code int
	}{
		"a length":                    {send: "Content-Length: 3\r\n\r\nabc", body: "abc", code: 200},
		"chunks":                      {send: "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", body: "abc", code: 200},
		"chunks with extensions":      {send: "Transfer-Encoding: chunked\r\n\r\n3;a=\"\n0\"\r\nabc\r\n0\r\n\r\n", code: 400},
		"chunks and a trailer":        {send: "Transfer-Encoding: chunked\r\nTrailer: Impersonate-User\r\n\r\n3\r\nabc\r\n0\r\nImpersonate-User: root\r\n\r\n", body: "abc", code: 200},
		"a length and chunks":         {send: fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", len(hidden)+5, hidden), code: 200},
		"chunks, hidden from some":    {send: "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, code: 501},
		"chunks, named twice":         {send: "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden, code: 501},
		"chunks, behind a tab":        {send: "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", code: 200},
		"two lengths":                 {send: fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden), code: 400},
		"a length with a sign":        {send: "Content-Length: +3\r\n\r\nabc", code: 400},
		"a length below zero":         {send: "Content-Length: -1\r\n\r\n" + hidden, code: 400},
		"a length of two numbers":     {send: "Content-Length: 3, 3\r\n\r\nabc", code: 400},
		"a length in a folded header": {send: "Content-Length: 0\r\n 3\r\n\r\nabc", code: 400},
		"a chunk of an awful size":    {send: "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nabc\r\n0\r\n\r\n", code: 400},
		"a chunk without an end":      {send: "Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n", code: 400},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			answer := f.send(t, "POST "+testPrefix+list+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+tc.send)
			if got := codeOf(t, answer); got != tc.code {
				t.Errorf("answered %d, want %d", got, tc.code)
			}
			inside.mu.Lock()
			defer inside.mu.Unlock()
			for _, r := range inside.requests {
				if !strings.Contains(r.head, ":method: POST\n") || !strings.Contains(r.head, ":path: "+list+"\n") || strings.Contains(r.head, "root") {
					t.Errorf("this arrived:\n%s", r.head)
				}
				if r.whole && (tc.code != 200 || r.body != tc.body) {
					t.Errorf("the body %q arrived as a whole, want %q and an answer of %d", r.body, tc.body, tc.code)
				}
			}
			if len(inside.requests) > 1 || tc.code == 200 && len(inside.requests) == 0 {
				t.Errorf("%d requests arrived, want one at most, and one for 200", len(inside.requests))
			}
		})
	}
}

// TestHostileSizes sends more than the server inside would take.
func TestHostileSizes(t *testing.T) {
	get := "GET " + testPrefix
	for name, tc := range map[string]struct {
		send string
		code int
	}{
		"a large header":         {get + list + " HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("a", 400<<10) + "\r\n", 200},
		"too large a header":     {get + list + " HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("a", 600<<10) + "\r\n", 431},
		"a header without limit": {get + list + " HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n", 431},
		"too many headers":       {get + list + " HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("Accept: application/json\r\n", 30_000), 431},
		"too long a path":        {get + "/" + strings.Repeat("a", 600<<10) + " HTTP/1.1\r\nHost: h\r\n", 431},
		"too long a query":       {get + list + "?a=" + strings.Repeat("a", 600<<10) + " HTTP/1.1\r\nHost: h\r\n", 431},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			// A server that has read enough may close before all is written.
			conn, err := net.Dial("tcp", f.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go io.WriteString(conn, tc.send+last)
			head := readHead(conn)
			if got := codeOf(t, head); got != tc.code {
				t.Errorf("answered %d, want %d", got, tc.code)
			}
			if tc.code == 200 {
				inside.only(t)
			} else {
				inside.none(t)
			}
		})
	}
}

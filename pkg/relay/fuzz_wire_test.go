// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzRequestLine writes bytes to a relay, as they are, and looks at all that
// arrives behind it: nobody's identity but the caller's, once, and nothing that
// leaves the path that the host authorised.
func FuzzRequestLine(f *testing.F) {
	get := "GET " + testPrefix + list
	for _, seed := range []string{
		get + " HTTP/1.1\r\nHost: h\r\n\r\n",
		get + "?watch=true HTTP/1.1\r\nHost: h\r\nImpersonate-User: root\r\nConnection: Impersonate-User\r\n\r\n",
		get + " HTTP/1.1\r\nHost: h\r\n\r\n" + get + " HTTP/1.1\r\nHost: h\r\nImpersonate-Group: system:masters\r\n\r\n",
		"POST " + testPrefix + list + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"POST " + testPrefix + list + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Impersonate-User\r\n\r\n3\r\nabc\r\n0\r\nImpersonate-User: root\r\n\r\n",
		"POST " + testPrefix + list + " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"GET " + testPrefix + execPath + " HTTP/1.1\r\nHost: h\r\n" + webSocketUpgrade + "\r\nGET / HTTP/1.1\r\nHost: h\r\nImpersonate-User: root\r\n\r\n",
		"POST " + testPrefix + execPath + " HTTP/1.1\r\nHost: h\r\n" + spdyUpgrade + "\r\n",
		"GET " + testPrefix + "/a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET " + testPrefix + "/%2e%2e/x HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET http://evil.example" + testPrefix + "//evil.example/..;/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"HEAD " + testPrefix + "?a=b;c#d HTTP/1.0\r\nX_Remote_User: root\r\nCookie: a=b\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	front, inside := newHostileFront(f)
	front.Config.ErrorLog = quiet()
	f.Fuzz(func(t *testing.T, request []byte) {
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Nothing is said about time: what takes longer is looked at as it is.
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(request); err == nil {
			conn.(*net.TCPConn).CloseWrite()
		}
		io.Copy(io.Discard, conn)
		inside.mu.Lock()
		defer inside.mu.Unlock()
		for _, r := range inside.requests {
			checkArrived(t, request, r.head)
		}
		inside.requests = nil
	})
}

// checkArrived judges the fields of one request, or its bytes over HTTP/1.1.
func checkArrived(t *testing.T, request []byte, head string) {
	t.Helper()
	seen := map[string][]string{}
	target := ""
	for line := range strings.Lines(head) {
		line = strings.TrimRight(line, "\r\n")
		// The colon before a pseudo-header's name stays: a field may be called path, too.
		if name, value, ok := strings.Cut(line[min(1, len(line)):], ": "); ok {
			name = strings.ReplaceAll(strings.ToLower(line[:1]+name), "_", "-")
			seen[name] = append(seen[name], value)
		} else if parts := strings.Split(line, " "); target == "" && len(parts) == 3 {
			target = parts[1]
		}
	}
	if target == "" {
		target = strings.Join(seen[":path"], " ")
	}
	authority := strings.Join(append(seen[":authority"], seen["host"]...), " ")
	fail := func(what string) { t.Errorf("%q: %s arrived:\n%s", request, what, head) }
	if !slices.Equal(seen["impersonate-user"], []string{"host:alice"}) ||
		!slices.Equal(seen["impersonate-group"], []string{"garret:admins", "host:dev", "host:system:authenticated"}) {
		fail("another identity")
	}
	for name := range seen {
		if name != "impersonate-user" && name != "impersonate-group" && speaksOfIdentity(name) || name == "transfer-encoding" || name == "te" {
			fail(name)
		}
	}
	if authority != "vc-demo.team.svc" || strings.Contains("\n"+head, "\ntrailers:\n") {
		fail("another authority or a trailer")
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" || !strings.HasPrefix(target, "/") {
		fail("another target")
		return
	}
	for _, segment := range strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			fail("a dot segment")
		}
	}
}

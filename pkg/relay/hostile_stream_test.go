// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestHostileUpgrades compares the bytes of requests to upgrade, which are
// those that could become something else on their connection.
func TestHostileUpgrades(t *testing.T) {
	sealed := "Impersonate-Group: garret:admins\r\nImpersonate-Group: host:dev\r\nImpersonate-Group: host:system:authenticated\r\nImpersonate-User: host:alice\r\n"
	socket := "Sec-Websocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-Websocket-Version: 13\r\nUpgrade: websocket\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"
	for name, tc := range map[string]struct{ method, target, send, want string }{
		"a plain one": {send: webSocketUpgrade, want: "Connection: Upgrade\r\n" + sealed + socket},
		"another identity": {
			send: webSocketUpgrade + "Impersonate-User: root\r\nimpersonate-group: system:masters\r\nImpersonate_User: root\r\nX-Remote-User: root\r\nAuthorization: Bearer host\r\nCookie: a=b\r\n",
			want: "Connection: Upgrade\r\n" + sealed + socket,
		},
		"a token": {
			send: webSocketUpgrade + "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.aG9zdA, v5.channel.k8s.io\r\n",
			want: "Connection: Upgrade\r\n" + sealed + strings.Replace(socket, "Sec-Websocket-Version", "Sec-Websocket-Protocol: v5.channel.k8s.io\r\nSec-Websocket-Version", 1),
		},
		"much in Connection": {
			send: strings.Replace(webSocketUpgrade, "Connection: Upgrade", "Connection: keep-alive, Upgrade, Impersonate-User, Host", 1) + "Keep-Alive: 5\r\nTe: trailers\r\nTrailer: Impersonate-User\r\nHTTP2-Settings: AAAA\r\n",
			want: "Connection: Upgrade\r\n" + sealed + socket,
		},
		"an Expect": {send: webSocketUpgrade + "Expect: 100-continue\r\n", want: "Connection: Upgrade\r\n" + sealed + socket},
		"a length of zero": {
			method: "POST", send: "Connection: upgrade\r\nUpgrade: spdy/3.1\r\nContent-Length: 0\r\n",
			want: "Connection: Upgrade\r\n" + sealed + "Upgrade: spdy/3.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
		},
		"another host": {target: "http://evil.example" + testPrefix + execPath, send: webSocketUpgrade, want: "Connection: Upgrade\r\n" + sealed + socket},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			if tc.method == "" {
				tc.method = "GET"
			}
			if tc.target == "" {
				tc.target = testPrefix + execPath
			}
			f.raw(t, tc.method+" "+tc.target+" HTTP/1.1\r\nHost: evil.example\r\n"+tc.send+"\r\n")
			length := ""
			if tc.method == "POST" {
				length = "Content-Length: 0\r\n"
			}
			want := tc.method + " " + execPath + " HTTP/1.1\r\nHost: vc-demo.team.svc\r\n" + length + tc.want
			if got := inside.only(t).head; got != want {
				t.Errorf("this arrived:\n%q, want\n%q", got, want)
			}
		})
	}
}

// TestHostileHTTP2 sends fields over HTTP/2, whose framing lets other things
// through than lines do.
func TestHostileHTTP2(t *testing.T) {
	for name, tc := range map[string]struct {
		// fields come in the place of, or after, those of a plain request.
		fields  []string
		trailer []string
		// path is where it arrives, if it may.
		path string
	}{
		"a plain request":               {path: list},
		"another authority":             {fields: []string{":authority", "evil.example"}, path: list},
		"an identity":                   {fields: []string{"impersonate-user", "root", "impersonate-group", "system:masters", "x-remote-user", "root"}, path: list},
		"an identity after the body":    {trailer: []string{"impersonate-user", "root"}, path: list},
		"a space in the query":          {fields: []string{":path", testPrefix + list + "?a=b HTTP/1.1"}, path: list + "?a=b+HTTP%2F1.1"},
		"a line break in the query":     {fields: []string{":path", testPrefix + list + "?a=b HTTP/1.1\r\nImpersonate-User: root"}},
		"a line break in a value":       {fields: []string{"x-a", "b\r\nimpersonate-user: root"}},
		"a line break in a name":        {fields: []string{"x-a: b\r\nimpersonate-user", "root"}},
		"a name in large letters":       {fields: []string{"Impersonate-User", "root"}},
		"a hash in the query":           {fields: []string{":path", testPrefix + list + "?a=b#c"}, path: list + "?a=b%23c"},
		"a way out":                     {fields: []string{":path", testPrefix + "/../x"}},
		"a whole address":               {fields: []string{":path", "https://evil.example" + testPrefix + list}, path: list},
		"two paths":                     {fields: []string{":path", testPrefix + list, ":path", "/x"}},
		"a header about the connection": {fields: []string{"connection", "impersonate-user"}},
		"an upgrade":                    {fields: []string{"upgrade", "websocket"}},
		"a tunnel":                      {fields: []string{":method", "CONNECT", ":protocol", "websocket"}},
		"chunks":                        {fields: []string{"transfer-encoding", "chunked"}},
		"a length that is not kept":     {fields: []string{"content-length", "100"}, path: list},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			outer := httptest.NewUnstartedServer(f.chain())
			outer.EnableHTTP2 = true
			outer.Config.ErrorLog = quiet()
			outer.StartTLS()
			defer outer.Close()
			exchange(t, outer, tc.fields, tc.trailer)
			if tc.path == "" {
				inside.mu.Lock()
				defer inside.mu.Unlock()
				for _, r := range inside.requests {
					if r.whole {
						t.Errorf("this arrived as a whole:\n%s", r.head)
					}
				}
				return
			}
			if got := inside.only(t).head; got != sealedFields("GET", tc.path) {
				t.Errorf("this arrived, want path %s:\n%s", tc.path, got)
			}
		})
	}
}

// exchange sends one request over HTTP/2 and reads until it is answered, or not.
func exchange(t *testing.T, server *httptest.Server, changed, trailer []string) {
	t.Helper()
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{NextProtos: []string{"h2"}, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	framer.WriteSettings()
	base := []string{":method", "GET", ":scheme", "https", ":authority", "h", ":path", testPrefix + list}
	for i := 0; i < len(base); i += 2 {
		if !contains(changed, base[i]) {
			changed = append([]string{base[i], base[i+1]}, changed...)
		}
	}
	s := &stream{id: 1, framer: framer}
	s.headers(changed, len(trailer) == 0)
	if len(trailer) > 0 {
		framer.WriteData(1, false, nil)
		s.headers(trailer, true)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return
		case *http2.HeadersFrame:
			if frame.StreamEnded() {
				return
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return
			}
		}
	}
}

func (s *stream) headers(namesAndValues []string, end bool) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(namesAndValues); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: namesAndValues[i], Value: namesAndValues[i+1]})
	}
	s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block.Bytes(), EndStream: end, EndHeaders: true})
}

func contains(namesAndValues []string, name string) bool {
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i] == name {
			return true
		}
	}
	return false
}

// TestHostileUploads breaks a body off: inside, it must not look whole.
func TestHostileUploads(t *testing.T) {
	for name, head := range map[string]string{
		"of known length": "Content-Length: 100\r\n\r\nabc",
		"in chunks":       "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"in a chunk":      "Transfer-Encoding: chunked\r\n\r\n30\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			conn, err := net.Dial("tcp", f.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "POST "+testPrefix+list+" HTTP/1.1\r\nHost: h\r\n"+head)
			waitFor(t, func() bool {
				inside.mu.Lock()
				defer inside.mu.Unlock()
				return len(inside.requests) == 1
			})
			conn.(*net.TCPConn).CloseWrite()
			select {
			case <-inside.reset:
			case <-time.After(20 * time.Second):
				t.Error("the request inside was not broken off")
			}
			if got := inside.only(t); got.whole {
				t.Errorf("the body %q arrived as a whole", got.body)
			}
			// Whoever is still there learns whose fault it was.
			if head := readHead(conn); head != "" && codeOf(t, head) != http.StatusBadRequest {
				t.Errorf("answered %q, want 400", head)
			}
		})
	}
}

// TestHostileReaders has callers not take what they asked for.
func TestHostileReaders(t *testing.T) {
	for name, leave := range map[string]bool{"by staying": false, "by leaving": true} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				defer close(ended)
				block := make([]byte, 64<<10)
				for {
					if _, err := w.Write(block); err != nil {
						return
					}
				}
			}))
			if !leave {
				f.relay.callerStall = 100 * time.Millisecond
			}
			conn, err := net.Dial("tcp", f.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "GET "+testPrefix+list+"?watch=true HTTP/1.1\r\nHost: h\r\n\r\n")
			readHead(conn)
			if leave {
				conn.Close()
			}
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Error("the request inside goes on")
			}
		})
	}
}

// TestSlowReadersAreNotGivenUp has a caller take a little, again and again, for
// several times as long as one may take nothing.
func TestSlowReadersAreNotGivenUp(t *testing.T) {
	const events = 30
	const stall = 500 * time.Millisecond
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range events {
			io.WriteString(w, "event\n")
			http.NewResponseController(w).Flush()
			time.Sleep(stall / 5)
		}
	}))
	f.relay.callerStall = stall
	response := do(t, newRequest(t, http.MethodGet, f.url(list+"?watch=true"), nil))
	if body, err := io.ReadAll(response.Body); err != nil || len(body) != events*len("event\n") {
		t.Errorf("read %d bytes, %v; want all of %d events", len(body), err, events)
	}
}

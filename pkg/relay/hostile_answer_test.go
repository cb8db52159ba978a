// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// safe is what the relay adds to the header of each answer, as HTTP/1.1 sorts it.
const safe = "Content-Security-Policy: " + sandbox + "\r\n"

// TestHostileAnswers has a virtual cluster answer what no API server does, and
// compares all that the caller gets, byte by byte.
func TestHostileAnswers(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	closed := "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
	for name, tc := range map[string]struct {
		method string
		answer func(*stream)
		// want is all of the answer, or, with a code, the answer is a Status of it.
		want  string
		code  int
		cause string
	}{
		"an answer": {
			answer: func(s *stream) {
				s.head(false, ":status", "200", "content-type", "application/json", "content-length", "2")
				s.data("{}", true)
			},
			want: ok + "Content-Length: 2\r\n" + safe + "Content-Type: application/json\r\n" + closed + "{}",
		},
		"headers that speak for the host": {
			answer: func(s *stream) {
				s.head(true, ":status", "200", "content-length", "0", "set-cookie", "session=evil", "alt-svc", "h3=\"evil:443\"", "access-control-allow-origin", "*",
					"strict-transport-security", "max-age=1", "clear-site-data", "\"*\"", "refresh", "0; url=https://evil.example", "www-authenticate", "Basic realm=host",
					"x-accel-redirect", "/internal", "x-sendfile", "/etc/shadow", "service-worker-allowed", "/", "nel", "{}", "audit-id", "evil", "content-security-policy", "none")
			},
			want: ok + "Content-Length: 0\r\nContent-Security-Policy: none\r\n" + safe + closed,
		},
		"a page without a type": {
			answer: func(s *stream) { s.head(false, ":status", "200"); s.data("<html><script>", true) },
			want:   ok + safe + closed + "<html><script>",
		},
		"an answer for shared caches": {
			answer: func(s *stream) {
				s.head(true, ":status", "200", "content-length", "0", "cache-control", "public, s-maxage=9, max-age=1")
			},
			want: ok + "Cache-Control: private, max-age=1\r\nContent-Length: 0\r\n" + safe + closed,
		},
		"two lengths": {
			answer: func(s *stream) {
				s.head(false, ":status", "200", "content-length", "4", "content-length", "0")
				s.data("body", true)
			},
			want: ok + safe + closed + "body",
		},
		"a length that is none": {
			answer: func(s *stream) {
				s.head(false, ":status", "200", "content-length", "0x4", "transfer-encoding", "chunked")
				s.data("body", true)
			},
			want: ok + safe + closed + "body",
		},
		"a length that is too long": {
			answer: func(s *stream) {
				s.head(false, ":status", "200", "content-length", "9")
				s.data("body", true)
			},
			want: ok + "Content-Length: 9\r\n" + safe + closed + "body",
		},
		"a length that is too short": {
			answer: func(s *stream) {
				s.head(false, ":status", "200", "content-length", "2")
				s.data("bodyHTTP/1.1 200 OK\r\n\r\n", true)
			},
			want: "",
		},
		"a body where none is": {answer: func(s *stream) { s.head(false, ":status", "204"); s.data("body", true) }, want: "HTTP/1.1 204 No Content\r\n" + safe + closed},
		"a body of what did not change": {answer: func(s *stream) { s.head(false, ":status", "304", "etag", "x"); s.data("body", true) },
			want: "HTTP/1.1 304 Not Modified\r\n" + safe + "Etag: x\r\n" + closed},
		"a body for HEAD": {
			method: "HEAD",
			answer: func(s *stream) { s.head(false, ":status", "200", "content-length", "4"); s.data("body", true) },
			want:   ok + "Content-Length: 4\r\n" + safe + closed,
		},
		"hints before it": {
			answer: func(s *stream) {
				for range 20 {
					s.head(false, ":status", "103", "link", "</evil>; rel=preload", "set-cookie", "a=b")
				}
				s.head(true, ":status", "200", "content-length", "0")
			},
			want: ok + "Content-Length: 0\r\n" + safe + closed,
		},
		"a switch that is none": {
			answer: func(s *stream) {
				s.head(false, ":status", "101", "upgrade", "websocket")
				s.head(true, ":status", "200", "content-length", "0")
			},
			want: ok + "Content-Length: 0\r\n" + safe + closed,
		},
		"trailers": {
			answer: func(s *stream) {
				s.head(false, ":status", "200", "trailer", "x-late")
				s.data("body", false)
				s.head(true, "x-late", "evil")
			},
			want: ok + safe + closed + "body",
		},
		"a redirect":              {answer: func(s *stream) { s.head(true, ":status", "307", "location", "https://evil.example") }, code: 502, cause: "Redirect"},
		"a code that is too low":  {answer: func(s *stream) { s.head(true, ":status", "42") }, code: 502, cause: "MalformedAnswer"},
		"a code that is too high": {answer: func(s *stream) { s.head(true, ":status", "1000") }, code: 502, cause: "MalformedAnswer"},
		"a code below zero":       {answer: func(s *stream) { s.head(true, ":status", "-5") }, code: 502, cause: "MalformedAnswer"},
		"a code of letters":       {answer: func(s *stream) { s.head(true, ":status", "two") }, code: 502, cause: "ConnectionLost"},
		"no code":                 {answer: func(s *stream) { s.head(true, "content-length", "0") }, code: 502, cause: "ConnectionLost"},
		"a header inside a value": {answer: func(s *stream) { s.head(true, ":status", "200", "x-a", "b\r\nSet-Cookie: evil") }, code: 502, cause: "ConnectionLost"},
		"a header inside a name":  {answer: func(s *stream) { s.head(true, ":status", "200", "x-a: b\r\nset-cookie", "evil") }, code: 502, cause: "ConnectionLost"},
		"too large a header":      {answer: func(s *stream) { s.head(true, ":status", "200", "x-a", strings.Repeat("a", 300<<10)) }, code: 502, cause: "ConnectionLost"},
		"hints without end": {
			answer: func(s *stream) {
				for range 400 {
					s.head(false, ":status", "103", "link", strings.Repeat("a", 1000))
				}
			},
			code: 502, cause: "ConnectionLost",
		},
		"nothing":     {answer: func(s *stream) { s.cut() }, code: 502, cause: "ConnectionLost"},
		"no protocol": {answer: func(s *stream) { s.conn.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); s.conn.Close() }, code: 502, cause: "ConnectionLost"},
		"a push": {answer: func(s *stream) {
			s.write(func(framer *http2.Framer) {
				framer.WritePushPromise(http2.PushPromiseParam{StreamID: s.id, PromiseID: 2, EndHeaders: true})
			})
		}, code: 502, cause: "ConnectionLost"},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			inside.answer = tc.answer
			if tc.method == "" {
				tc.method = "GET"
			}
			answer := f.send(t, tc.method+" "+testPrefix+list+" HTTP/1.1\r\nHost: h\r\n"+last)
			if tc.code == 0 {
				if got := unchunked(t, withoutDate(answer)); got != tc.want {
					t.Errorf("the caller got\n%q, want\n%q", got, tc.want)
				}
				return
			}
			response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
			if err != nil {
				t.Fatalf("answered %q: %v", answer, err)
			}
			got := status(t, response)
			if int(got.Code) != tc.code || len(got.Details.Causes) != 1 || string(got.Details.Causes[0].Type) != tc.cause || strings.Contains(answer, "evil") {
				t.Errorf("answered %s, want %d with cause %s and nothing of the other answer", answer, tc.code, tc.cause)
			}
		})
	}
}

// unchunked takes the chunks out of an answer, so that it can be compared
// wherever they were cut. An answer whose last chunk is missing stays as it is.
func unchunked(t *testing.T, answer string) string {
	t.Helper()
	const header = "Transfer-Encoding: chunked\r\n"
	head, body, ok := strings.Cut(answer, "\r\n\r\n")
	if !ok || !strings.Contains(head+"\r\n", header) {
		return answer
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(response.Body)
	if err != nil || len(response.Trailer) > 0 {
		t.Errorf("body %q, trailers %v, %v", body, response.Trailer, err)
	}
	return strings.Replace(head+"\r\n", header, "", 1) + "\r\n" + string(whole)
}

// TestHostileCutAnswers has answers break off: no caller may take one for whole.
func TestHostileCutAnswers(t *testing.T) {
	for name, answer := range map[string]func(*stream){
		"by a reset":          func(s *stream) { s.cut() },
		"by the connection":   func(s *stream) { s.conn.Close() },
		"by what is no frame": func(s *stream) { s.conn.Write([]byte(strings.Repeat("x", 100))); s.conn.Close() },
		"by a header unasked": func(s *stream) { s.head(false, ":status", "200") },
		"by the end of TLS":   func(s *stream) { s.conn.(*tls.Conn).CloseWrite(); s.conn.Close() },
		"by leaving altogether": func(s *stream) {
			s.write(func(framer *http2.Framer) { framer.WriteGoAway(0, http2.ErrCodeInternal, nil) })
			s.conn.Close()
		},
	} {
		for _, length := range []string{"known", "unknown"} {
			t.Run(name+", of length "+length, func(t *testing.T) {
				f, inside := newHostileFront(t)
				inside.answer = func(s *stream) {
					head := []string{":status", "200"}
					if length == "known" {
						head = append(head, "content-length", "100")
					}
					s.head(false, head...)
					s.data("half", false)
					answer(s)
				}
				response := do(t, newRequest(t, http.MethodGet, f.url(list), nil))
				if body, err := io.ReadAll(response.Body); err == nil {
					t.Errorf("read %q as a whole answer, want an error", body)
				}
			})
		}
	}
}

// TestHostileUpgradeAnswers is the same for the answer to an upgrade, which is
// spoken over HTTP/1.1.
func TestHostileUpgradeAnswers(t *testing.T) {
	switching := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	switched := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + safe
	end := "Upgrade: websocket\r\nX-Content-Type-Options: nosniff\r\n\r\n"
	for name, tc := range map[string]struct{ answer, want string }{
		"a plain one":             {switching + "\r\n", switched + end},
		"with what comes at once": {switching + "\r\nHTTP/1.1 200 OK\r\n\r\n", switched + end + "HTTP/1.1 200 OK\r\n\r\n"},
		"with a length":           {switching + "Content-Length: 5\r\n\r\nabcdefgh", switched + end + "abcdefgh"},
		"with chunks":             {switching + "Transfer-Encoding: chunked\r\n\r\nabc", switched + end + "abc"},
		"with headers of its own": {switching + "Sec-WebSocket-Protocol: v5\r\nX-A: b\r\n\r\n", switched + "Sec-Websocket-Protocol: v5\r\n" + "Upgrade: websocket\r\nX-A: b\r\n" + strings.TrimPrefix(end, "Upgrade: websocket\r\n")},
		"that speaks for the host": {switching + "Set-Cookie: a=b\r\nAlt-Svc: x\r\nLocation-Of: x\r\nAccess-Control-Allow-Origin: *\r\n\r\n",
			switched + "Location-Of: x\r\n" + end},
		"with more in Connection": {strings.Replace(switching, "Connection: Upgrade", "Connection: upgrade, X-A", 1) + "X-A: b\r\n\r\n", switched + end},
		"in another spelling":     {strings.Replace(switching, "Switching Protocols", "\x01evil", 1) + "\r\n", switched + end},
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			inside.upgraded = func(conn net.Conn, _ string) { io.WriteString(conn, tc.answer) }
			got := f.send(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n")
			if got != tc.want {
				t.Errorf("the caller got\n%q, want\n%q", got, tc.want)
			}
		})
	}
}

// TestHostileUpgradeAnswersWithoutEnd has the relay hold what it must not.
func TestHostileUpgradeAnswersWithoutEnd(t *testing.T) {
	for name, begin := range map[string]string{
		"a header":       "HTTP/1.1 101 Switching Protocols\r\n",
		"one line":       "HTTP/1.1 101 Switching Protocols\r\nX-A: ",
		"a code":         "HTTP/1.1 101 ",
		"a refusal":      "HTTP/1.1 403 Forbidden\r\n\r\n",
		"refusing parts": "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, inside := newHostileFront(t)
			written := make(chan int, 1)
			inside.upgraded = func(conn net.Conn, _ string) {
				n, _ := io.WriteString(conn, begin)
				for line := []byte(strings.Repeat("X-A: b\r\n", 1000)); ; {
					more, err := conn.Write(line)
					if n += more; err != nil || n > 64<<20 {
						written <- n
						return
					}
				}
			}
			answer := f.send(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"Connection: close\r\n\r\n")
			if got := codeOf(t, answer); got != http.StatusBadGateway {
				t.Errorf("answered %d, want 502", got)
			}
			// What the sockets hold comes on top of what the relay reads.
			if n := <-written; n > 16<<20 {
				t.Errorf("the relay read up to %d bytes", n)
			}
		})
	}
}

// TestHostileDrip has a refusal come byte by byte, and its caller leave.
func TestHostileDrip(t *testing.T) {
	f, inside := newHostileFront(t)
	gone := make(chan struct{})
	begun := make(chan struct{})
	inside.upgraded = func(conn net.Conn, _ string) {
		io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\n\r\n")
		close(begun)
		for {
			if _, err := conn.Write([]byte("x")); err != nil {
				close(gone)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n")
	<-begun
	conn.Close()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Error("the relay listens on after its caller left")
	}
}

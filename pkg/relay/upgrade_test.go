// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	webSocketUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	spdyUpgrade      = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
	execPath         = "/api/v1/namespaces/a/pods/b/exec?command=sh"
)

// switching answers a request to upgrade with these bytes and then has the
// connection to itself.
func switching(t *testing.T, answer string, then func(net.Conn, io.Reader)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, answer)
		if then != nil {
			then(conn, buffered)
		}
	}
}

func switched(protocol string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nAlt-Svc: evil\r\n\r\n"
}

func echoThenBye(conn net.Conn, r io.Reader) {
	io.Copy(conn, r)
	io.WriteString(conn, "bye")
}

func TestTunnel(t *testing.T) {
	for name, tc := range map[string]struct{ method, headers, protocol string }{
		"WebSocket":            {"GET", webSocketUpgrade, "websocket"},
		"SPDY by POST":         {"POST", spdyUpgrade + "Content-Length: 0\r\n", "SPDY/3.1"},
		"SPDY by GET":          {"GET", spdyUpgrade, "SPDY/3.1"},
		"keep-alive beside it": {"GET", strings.Replace(webSocketUpgrade, "Connection: Upgrade", "Connection: keep-alive, Upgrade", 1), "websocket"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, switching(t, switched(tc.protocol), echoThenBye))
			// Some of the stream comes together with the request, too early but not lost.
			conn, reader, response := f.raw(t, tc.method+" "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+tc.headers+"\r\nearly ")
			if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Upgrade") != tc.protocol || response.Header.Get("X-Stream-Protocol-Version") != "v4.channel.k8s.io" {
				t.Fatalf("answered %d with %v, want 101 and the server's headers", response.StatusCode, response.Header)
			}
			if response.Header.Get("Alt-Svc") != "" {
				t.Error("a header that speaks for the host arrived")
			}
			io.WriteString(conn, "and late")
			got := make([]byte, len("early and late"))
			if _, err := io.ReadFull(reader, got); err != nil || string(got) != "early and late" {
				t.Fatalf("got %q, %v; want the echo while the tunnel is open", got, err)
			}
			// What the server says after the caller's end still arrives.
			conn.(*net.TCPConn).CloseWrite()
			if rest, err := io.ReadAll(reader); err != nil || string(rest) != "bye" {
				t.Errorf("got %q, %v; want bye and the end", rest, err)
			}
		})
	}
}

func TestIdentityOfUpgrade(t *testing.T) {
	seen := make(chan *http.Request, 1)
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen <- req
		w.WriteHeader(http.StatusForbidden)
	}))
	hostile := "Impersonate-User: root\r\nImpersonate-Group: system:masters\r\nImpersonate-Uid: 0\r\nX-Remote-User: root\r\nAuthorization: Bearer x\r\n" +
		"Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0\r\n" +
		strings.Replace(webSocketUpgrade, "Connection: Upgrade", "Connection: Upgrade, Impersonate-User, Impersonate-Group, Host", 1)
	_, _, response := f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: evil.example\r\n"+hostile+"\r\n")
	if response.StatusCode != http.StatusForbidden {
		t.Fatalf("answered %d, want 403", response.StatusCode)
	}
	req := <-seen
	if got := req.Header["Impersonate-User"]; !reflect.DeepEqual(got, []string{"host:alice"}) {
		t.Errorf("entered as %q, want host:alice", got)
	}
	if got, want := req.Header["Impersonate-Group"], []string{"garret:admins", "host:dev", "host:system:authenticated"}; !reflect.DeepEqual(got, want) {
		t.Errorf("entered with %q, want %q", got, want)
	}
	for key := range req.Header {
		if key != "Impersonate-User" && key != "Impersonate-Group" && speaksOfIdentity(key) {
			t.Errorf("header %s arrived inside", key)
		}
	}
	if got := req.Header["Sec-Websocket-Protocol"]; !reflect.DeepEqual(got, []string{"v5.channel.k8s.io"}) {
		t.Errorf("subprotocols are %q, want no token", got)
	}
	if req.Host != "vc-demo.team.svc" || req.RequestURI != execPath || !reflect.DeepEqual(req.Header["Connection"], []string{"Upgrade"}) {
		t.Errorf("arrived at %s%s with Connection %q", req.Host, req.RequestURI, req.Header["Connection"])
	}
}

func TestUpgradesRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		method, headers string
		viewer          bool
		want            int
	}{
		"HTTP/2 in the clear":         {"GET", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", false, 400},
		"TLS":                         {"GET", "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n", false, 400},
		"another SPDY":                {"POST", "Connection: Upgrade\r\nUpgrade: SPDY/3\r\n", false, 400},
		"one of two":                  {"GET", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false, 400},
		"one of two in a line":        {"GET", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false, 400},
		"not named in Connection":     {"GET", "Upgrade: websocket\r\n", false, 400},
		"named, but without protocol": {"GET", "Connection: Upgrade\r\n", false, 400},
		"a WebSocket by POST":         {"POST", webSocketUpgrade, false, 400},
		"a body":                      {"POST", spdyUpgrade + "Content-Length: 3\r\n", false, 400},
		"a body in chunks":            {"POST", spdyUpgrade + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", false, 400},
		"a viewer's WebSocket":        {"GET", webSocketUpgrade, true, 403},
		"a viewer's SPDY":             {"POST", spdyUpgrade, true, 403},
	} {
		t.Run(name, func(t *testing.T) {
			inside := &recorder{}
			f := newFront(t, inside)
			f.viewer = tc.viewer
			_, _, response := f.raw(t, tc.method+" "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+tc.headers+"\r\nabc")
			if got := status(t, response); int(got.Code) != tc.want {
				t.Errorf("answered %d %q, want %d", got.Code, got.Message, tc.want)
			}
			inside.none(t)
		})
	}
}

// TestUpgradesThatAreNone has the server inside answer otherwise than with 101.
func TestUpgradesThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		want   int
		body   string
	}{
		"200":                        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502, "answered 200 to a request to upgrade"},
		"204":                        {"HTTP/1.1 204 No Content\r\n\r\n", 502, "answered 204"},
		"a redirect":                 {"HTTP/1.1 302 Found\r\nLocation: https://evil.example\r\nContent-Length: 0\r\n\r\n", 502, "answered 302"},
		"another protocol":           {switched("h2c"), 502, "another protocol"},
		"no protocol":                {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, "another protocol"},
		"an error is passed on":      {"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nno!", 400, "no!"},
		"an error, chunked":          {"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", 403, "no!"},
		"nothing":                    {"", 502, "connection to its API server failed"},
		"half an answer":             {"HTTP/1.1 101 Switching", 502, "connection to its API server failed"},
		"half an error":              {"HTTP/1.1 400 Bad Request\r\nContent-Length: 30\r\n\r\nno!", 502, "connection to its API server failed"},
		"what is no HTTP":            {"SSH-2.0-OpenSSH\r\n\r\n", 502, "connection to its API server failed"},
		"an unauthorized, certainly": {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 503, "does not accept the relay's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, switching(t, tc.answer, nil))
			_, _, response := f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n")
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != tc.want || !strings.Contains(string(body), tc.body) {
				t.Errorf("answered %d %q, %v; want %d with %q", response.StatusCode, body, err, tc.want, tc.body)
			}
			if response.Header.Get("Location") != "" || response.Header.Get("X-Hop") != "" {
				t.Errorf("headers %v arrived", response.Header)
			}
		})
	}
}

func TestUpgradesShareNoConnection(t *testing.T) {
	f := newFront(t, switching(t, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", nil))
	for range 3 {
		f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n")
	}
	if got := f.inside.Connections(); got != 3 {
		t.Errorf("%d connections for 3 upgrades, want 3", got)
	}
}

func TestUpgradeWithRenewedCertificate(t *testing.T) {
	f := newFront(t, switching(t, switched("websocket"), nil))
	if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
		t.Fatal(err)
	}
	f.clock.SetTime(f.clock.Now().Add(time.Minute))
	f.inside.ClientCA = f.inside.HostCA
	if _, _, response := f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("answered %d, want 101 after one repetition", response.StatusCode)
	}
}

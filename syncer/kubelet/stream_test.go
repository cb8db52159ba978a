// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// accept upgrades and echoes, as far as the other end likes.
func accept(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	buffered.Flush()
	line, err := buffered.ReadString('\n')
	if err != nil {
		return
	}
	fmt.Fprintf(buffered, "echo %s", line)
	buffered.Flush()
}

func TestTunnels(t *testing.T) {
	f := standard(t)
	f.host.answers(accept)
	base := "/api/v1/namespaces/" + hostNamespace + "/pods/" + f.translator.HostName("default", "web")
	for _, test := range []struct{ name, method, target, protocol, path, query string }{
		{"exec over SPDY", "POST", "/exec/default/web/app?command=sh&command=-c&command=a%26b%3Dc%2F..&input=1&output=1&error=1&tty=1", "SPDY/3.1",
			base + "/exec", "command=sh&command=-c&command=a%26b%3Dc%2F..&container=app&stderr=true&stdin=true&stdout=true&tty=true"},
		{"exec over WebSocket", "GET", "/exec/default/web/side?command=id&output=1", "websocket", base + "/exec", "command=id&container=side&stdout=true"},
		{"exec with UID", "POST", "/exec/default/web/uid-web/app?command=id&output=true", "SPDY/3.1", base + "/exec", "command=id&container=app&stdout=true"},
		{"another container in the query", "POST", "/exec/default/web/app?command=id&container=injected&stdin=true", "SPDY/3.1", base + "/exec", "command=id&container=app"},
		{"attach", "POST", "/attach/default/web/debug?input=1&output=1", "SPDY/3.1", base + "/attach", "container=debug&stdin=true&stdout=true"},
		{"port-forward", "POST", "/portForward/default/web", "SPDY/3.1", base + "/portforward", ""},
		{"port-forward over WebSocket", "GET", "/portForward/default/web?port=80,8080", "websocket", base + "/portforward", "ports=80&ports=8080"},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := upgrade(test.protocol)
			header["Authorization"] = []string{"Bearer tenant"}
			header["X-Remote-User"] = []string{"admin"}
			if offered := header["Sec-WebSocket-Protocol"]; offered != nil {
				header["Sec-WebSocket-Protocol"] = []string{"Base64url.bearer.authorization.k8s.io.dGVuYW50," + offered[0], bearerSubprotocol + "dGVuYW50"}
			}
			answer, connection, reader, err := f.request(t, f.apiServer(t), test.method, test.target, header)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != http.StatusSwitchingProtocols {
				body, _ := io.ReadAll(answer.Body)
				t.Fatalf("got code %d (%s), want 101", answer.StatusCode, body)
			}
			if _, err := io.WriteString(connection, "ping\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := reader.ReadString('\n'); err != nil || line != "echo ping\n" {
				t.Errorf("got %q, error %v, through the tunnel", line, err)
			}
			if _, err := reader.ReadByte(); err != io.EOF {
				t.Errorf("got %v after the host's end, want EOF", err)
			}
			seen := f.host.seen()
			if len(seen) != 1 {
				t.Fatalf("the host was asked %d times, want once", len(seen))
			}
			got := seen[0]
			if got.Method != test.method || got.URL.Path != test.path || got.URL.RawQuery != test.query {
				t.Errorf("the host was asked for %s %s?%s, want %s %s?%s", got.Method, got.URL.Path, got.URL.RawQuery, test.method, test.path, test.query)
			}
			for _, name := range []string{"X-Stream-Protocol-Version", "Sec-Websocket-Protocol"} {
				if got, want := got.Header.Values(name), upgradeHeader(canonical(header)).Values(name); strings.Join(got, " ") != strings.Join(want, " ") {
					t.Errorf("the host saw %s %q, want %q", name, got, want)
				}
			}
			credentials(t, got)
		})
	}
}

func canonical(header http.Header) http.Header {
	out := http.Header{}
	for name, values := range header {
		for _, value := range values {
			out.Add(name, value)
		}
	}
	return out
}

// TestTunnelEnds closes either end of a tunnel and waits for the other.
func TestTunnelEnds(t *testing.T) {
	f := standard(t)
	hosts := f.host.upgrades("")
	open := func() (net.Conn, *bufio.Reader, net.Conn) {
		answer, connection, reader, err := f.request(t, f.apiServer(t), "POST", "/exec/default/web/app?command=id", upgrade("SPDY/3.1"))
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got answer %v, error %v", answer, err)
		}
		return connection, reader, <-hosts
	}
	ended := func(which string, reader io.Reader, connection net.Conn) {
		t.Helper()
		if err := connection.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := reader.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("%s: read %d bytes, error %v; want the end", which, n, err)
		}
	}
	caller, _, host := open()
	caller.Close()
	ended("host, after the caller left", host, host)
	host.Close()
	caller, reader, host := open()
	host.Close()
	ended("caller, after the host left", reader, caller)
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// TestRefusedUpgrade has the host refuse an upgrade.
func TestRefusedUpgrade(t *testing.T) {
	f := standard(t)
	f.host.answers(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	if code, _ := f.get(t, "POST", "/exec/default/web/app?command=id", upgrade("SPDY/3.1")); code != http.StatusForbidden {
		t.Errorf("got code %d, want the host's 403", code)
	}
}

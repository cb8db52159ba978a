// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// everything owns whatever it is asked for.
type everything struct{}

func (everything) Has(context.Context, netip.AddrPort) (bool, error) { return true, nil }
func (everything) Hosts(context.Context, netip.Addr) bool            { return false }

func serve(t *testing.T, directory string, door *Door) (stop func()) {
	t.Helper()
	server, err := Listen(directory, ClusterSocket, door)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// ask sends what an API server sends, and returns the answer and the connection.
func ask(t *testing.T, directory, request string) (*http.Response, net.Conn) {
	t.Helper()
	connection, err := net.Dial("unix", filepath.Join(directory, ClusterSocket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", request)
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	if answer.StatusCode == http.StatusOK && reader.Buffered() > 0 {
		t.Errorf("%s: %d bytes after the answer, want none: an API server gives up then", request, reader.Buffered())
	}
	return answer, connection
}

// echo is a server that sends back what it gets, until the test ends.
func echo(t testing.TB) (server net.Listener, at netip.AddrPort) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = io.Copy(connection, connection)
			}()
		}
	}()
	return listener, listener.Addr().(*net.TCPAddr).AddrPort()
}

// TestServer carries both ways, tells in the status line what it refuses, and takes the
// place of a process that has left its socket.
func TestServer(t *testing.T) {
	t.Parallel()
	echoing, target := echo(t)
	// Unix sockets have short names only.
	directory, err := os.MkdirTemp("", "egress")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(directory)
	left, err := net.Listen("unix", filepath.Join(directory, ClusterSocket))
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	door := &Door{Bounds: Bounds{Own: everything{}}, Syncer: target}
	stop := serve(t, directory, door)
	info, err := os.Stat(filepath.Join(directory, ClusterSocket))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: got %v, %v, want mode 0600", info.Mode(), err)
	}

	answer, connection := ask(t, directory, "CONNECT "+target.String())
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("own target: got %s, want 200", answer.Status)
	}
	fmt.Fprint(connection, "hello")
	if err := connection.(*net.UnixConn).CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(connection); string(got) != "hello" || err != nil {
		t.Errorf("through the tunnel: got %q, %v, want hello", got, err)
	}

	if answer, _ := ask(t, directory, "CONNECT 127.0.0.1:1"); answer.StatusCode != http.StatusForbidden || !strings.Contains(answer.Status, "loopback") {
		t.Errorf("loopback: got %s, want 403 with the rule", answer.Status)
	}
	if answer, _ := ask(t, directory, "CONNECT [::ffff:127.0.0.1]:1"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("mapped loopback: got %s, want 403", answer.Status)
	}
	if answer, _ := ask(t, directory, "GET http://"+target.String()+"/"); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %s, want 405", answer.Status)
	}

	_, open := ask(t, directory, "CONNECT "+target.String())
	stop()
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a tunnel outlives its server")
	}
	serve(t, directory, door)()

	echoing.Close()
	defer serve(t, directory, door)()
	if answer, _ := ask(t, directory, "CONNECT "+target.String()); answer.StatusCode != http.StatusBadGateway || !strings.Contains(answer.Status, "refused") {
		t.Errorf("nobody there: got %s, want 502 with the reason", answer.Status)
	}
}

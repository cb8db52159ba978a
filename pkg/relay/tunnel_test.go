// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// pair is a TCP connection and its other end.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if near, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestTunnelEnds(t *testing.T) {
	const soon, never = 500 * time.Millisecond, time.Hour
	for _, tc := range []struct {
		name             string
		idle, halfClosed time.Duration
		end              func(cancel context.CancelFunc, caller, server *net.TCPConn)
	}{
		{"both close", never, never, func(_ context.CancelFunc, caller, server *net.TCPConn) { caller.Close(); server.Close() }},
		{"the caller vanishes", never, never, func(_ context.CancelFunc, caller, server *net.TCPConn) {
			caller.SetLinger(0)
			caller.Close()
		}},
		{"silence", soon, never, func(context.CancelFunc, *net.TCPConn, *net.TCPConn) {}},
		{"silence after half of it closed", never, soon, func(_ context.CancelFunc, caller, _ *net.TCPConn) { caller.CloseWrite() }},
		{"and after the other half", never, soon, func(_ context.CancelFunc, _, server *net.TCPConn) { server.CloseWrite() }},
		{"the server outside ends", never, never, func(cancel context.CancelFunc, _, _ *net.TCPConn) { cancel() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			caller, outer := pair(t)
			server, inner := pair(t)
			tun := &tunnel{
				caller: &peer{conn: outer, reader: bufio.NewReader(outer)}, inside: &peer{conn: inner, reader: bufio.NewReader(inner)},
				idle: tc.idle, halfClosed: tc.halfClosed, buffers: newBufferPool(), metrics: uncounted(t), over: context.Background(),
			}
			done := make(chan struct{})
			go func() { tun.run(ctx); close(done) }()
			io.WriteString(caller, "ping")
			if _, err := io.ReadFull(server, make([]byte, 4)); err != nil {
				t.Fatalf("the tunnel does not carry: %v", err)
			}
			tc.end(cancel, caller.(*net.TCPConn), server.(*net.TCPConn))
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatal("the tunnel is still open")
			}
			for name, conn := range map[string]net.Conn{"caller": caller, "server": server} {
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					t.Errorf("the %s's connection is open, want it closed", name)
				}
			}
		})
	}
}

// deaf is a connection to which nothing can be told.
type deaf struct{ *net.TCPConn }

func (deaf) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func (deaf) CloseWrite() error { return syscall.ENOTCONN }

// TestLastWords has a server take nothing more. What it says then reaches the caller.
func TestLastWords(t *testing.T) {
	for name, tell := range map[string]func(caller *net.TCPConn){
		"the caller talks": func(caller *net.TCPConn) { io.WriteString(caller, "an answer to nobody") },
		"the caller ends":  func(caller *net.TCPConn) { caller.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			caller, outer := pair(t)
			server, inner := pair(t)
			tun := &tunnel{
				caller: &peer{conn: outer, reader: bufio.NewReader(outer)}, inside: &peer{conn: deaf{inner.(*net.TCPConn)}, reader: bufio.NewReader(inner)},
				idle: 2 * time.Hour, halfClosed: time.Hour, buffers: newBufferPool(), metrics: uncounted(t), over: context.Background(),
			}
			done := make(chan struct{})
			go func() { tun.run(t.Context()); close(done) }()
			tell(caller.(*net.TCPConn))
			for tun.limit.Load() != int64(tun.halfClosed) {
				select {
				case <-done:
					t.Fatal("the tunnel closed before the server had said all")
				default:
					runtime.Gosched()
				}
			}
			io.WriteString(server, "exit code 0")
			server.Close()
			if said, err := io.ReadAll(caller); err != nil || string(said) != "exit code 0" {
				t.Errorf("got %q, %v, want what the server said last", said, err)
			}
			caller.Close()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Error("the tunnel is still open")
			}
		})
	}
}

// TestTrafficKeepsATunnelOpen has one side speak, and the other only listen,
// for several times the silence that is allowed.
func TestTrafficKeepsATunnelOpen(t *testing.T) {
	caller, outer := pair(t)
	server, inner := pair(t)
	tun := &tunnel{
		caller: &peer{conn: outer, reader: bufio.NewReader(outer)}, inside: &peer{conn: inner, reader: bufio.NewReader(inner)},
		idle: time.Second, halfClosed: time.Hour, buffers: newBufferPool(), metrics: uncounted(t), over: context.Background(),
	}
	go tun.run(t.Context())
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range 60 {
		<-ticker.C
		if _, err := server.Write([]byte("x")); err != nil {
			t.Fatalf("write: %v", err)
		}
		if _, err := io.ReadFull(caller, make([]byte, 1)); err != nil {
			t.Fatalf("the tunnel was closed under its traffic: %v", err)
		}
	}
}

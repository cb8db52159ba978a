// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Proxy is a way to a server that can be made long, be taken away, or lose what it carries.
type Proxy struct {
	listener net.Listener
	target   string

	mu          sync.Mutex
	delay       time.Duration
	cut         bool
	connections map[net.Conn]struct{}
}

// Through returns a proxy to the server, and the server's flags by way of it.
func (s *Server) Through(t testing.TB) (*Proxy, []string) {
	t.Helper()
	p := s.Proxy(t)
	flags := make([]string, 0, len(s.Flags))
	for _, flag := range s.Flags {
		flags = append(flags, p.Of(flag))
	}
	return p, flags
}

// Of is an endpoint, or a flag that has one, by way of the proxy.
func (p *Proxy) Of(endpoint string) string {
	return strings.ReplaceAll(endpoint, p.target, p.listener.Addr().String())
}

// Proxy returns a proxy to the server.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: s.Address, connections: map[net.Conn]struct{}{}}
	go p.serve()
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
	})
	return p
}

// Delay has whatever is sent to the server wait for so long.
func (p *Proxy) Delay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Cut ends all connections, and each new one at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for connection := range p.connections {
		connection.Close()
	}
	clear(p.connections)
}

// Mend lets connections through again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

// Swallow drops whatever comes in from the clients that are connected now: nothing
// is acknowledged any more and nothing is ended, as behind a router that has
// forgotten them. Others may connect.
func (p *Proxy) Swallow(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	// The kernel asks the filter before TCP sees a packet; this one takes nothing of any.
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	for connection := range p.connections {
		raw, err := connection.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if connection.LocalAddr().String() != p.listener.Addr().String() {
			continue // to the server
		}
		var failure error
		err = raw.Control(func(fd uintptr) {
			failure = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing})
		})
		if err := errors.Join(err, failure); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.join(client)
	}
}

// join carries bytes between a client and the server until either ends.
func (p *Proxy) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	defer p.forget(client, server)
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, server)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay := p.delay
		p.mu.Unlock()
		time.Sleep(delay)
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) keep(connections ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, connection := range connections {
		p.connections[connection] = struct{}{}
	}
	return true
}

func (p *Proxy) forget(connections ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range connections {
		delete(p.connections, connection)
	}
}

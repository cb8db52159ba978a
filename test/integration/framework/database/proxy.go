// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy is a way to a server that can be made long, or be taken away.
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
	flags := make([]string, 0, len(s.Flags))
	for _, flag := range s.Flags {
		flags = append(flags, strings.ReplaceAll(flag, s.Address, listener.Addr().String()))
	}
	return p, flags
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

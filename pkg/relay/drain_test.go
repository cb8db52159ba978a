// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// streams answers watches and logs without an end, and echoes over upgrades.
func streams(opened chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") != "" {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
			opened <- struct{}{}
			io.Copy(conn, buffered)
			return
		}
		io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		opened <- struct{}{}
		<-req.Context().Done()
	})
}

func openTunnel(t *testing.T, f *front) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, reader, response := f.raw(t, "POST "+testPrefix+"/api/v1/namespaces/a/pods/p/exec?command=sh HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: got %d", response.StatusCode)
	}
	return conn, reader
}

func echo(t *testing.T, conn net.Conn, reader *bufio.Reader, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != text {
		t.Fatalf("echo: got %q, %v; want %q", got, err, text)
	}
}

// TestDrain has a watch, a log and two tunnels open when draining begins.
func TestDrain(t *testing.T) {
	opened := make(chan struct{}, 4)
	f := newFront(t, streams(opened))
	get := func(path string) *http.Response {
		t.Helper()
		response := do(t, newRequest(t, http.MethodGet, f.url(path), nil))
		<-opened
		if _, err := io.ReadFull(response.Body, make([]byte, len("first\n"))); err != nil {
			t.Fatal(err)
		}
		return response
	}
	watch, log := get("/api/v1/pods?watch=true"), get("/api/v1/namespaces/a/pods/p/log?follow=true")
	done, doneReader := openTunnel(t, f)
	stays, staysReader := openTunnel(t, f)

	ctx, over := context.WithCancel(t.Context())
	defer over()
	cut := make(chan int, 1)
	go func() { cut <- f.relay.Drain(ctx) }()

	if rest, err := io.ReadAll(watch.Body); err != nil || len(rest) != 0 {
		t.Errorf("the watch: got %q, %v; want it to end as if by itself", rest, err)
	}
	// All others go on, until they are done.
	echo(t, done, doneReader, "one more thing")
	echo(t, stays, staysReader, "and here")
	done.Close()
	refused, _, response := f.raw(t, "POST "+testPrefix+"/api/v1/namespaces/a/pods/p/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
	defer refused.Close()
	if got := status(t, response); got.Code != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("a new tunnel: got %+v, want 503 with Retry-After", got)
	}
	waitFor(t, func() bool { f.relay.drain.mu.Lock(); defer f.relay.drain.mu.Unlock(); return f.relay.drain.open == 2 })

	over()
	if rest, err := io.ReadAll(log.Body); err != nil || len(rest) != 0 {
		t.Errorf("the log: got %q, %v; want it to end as if by itself", rest, err)
	}
	if rest, err := io.ReadAll(staysReader); err != nil || len(rest) != 0 {
		t.Errorf("the tunnel: got %q, %v; want an end of the stream and no reset", rest, err)
	}
	if got := <-cut; got != 2 {
		t.Errorf("Drain says that it cut %d streams, want 2", got)
	}
}

// TestDrainOfATunnelUnderTraffic closes a tunnel while its caller writes, which
// a careless end would answer with a reset.
func TestDrainOfATunnelUnderTraffic(t *testing.T) {
	opened := make(chan struct{}, 1)
	f := newFront(t, streams(opened))
	conn, reader := openTunnel(t, f)
	echo(t, conn, reader, "begin")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for chunk := make([]byte, 4096); ; {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	go f.relay.Drain(ended)
	n, err := io.Copy(io.Discard, reader)
	if err != nil {
		t.Errorf("after %d bytes: %v, want an end of the stream and no reset", n, err)
	}
	conn.Close()
	<-written
	<-f.relay.drain.empty
}

func TestDrainWithoutStreams(t *testing.T) {
	f := newFront(t, &recorder{})
	for range 2 {
		if cut := f.relay.Drain(t.Context()); cut != 0 {
			t.Errorf("cut %d streams, want none", cut)
		}
	}
	if response := do(t, newRequest(t, http.MethodGet, f.url("/api/v1/pods"), nil)); response.StatusCode != http.StatusOK {
		t.Errorf("an ordinary request: got %d, want it served to the last", response.StatusCode)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

const lastWords = "exit code 0"

// deaf is a connection whose other side takes nothing more once it has said so.
type deaf struct {
	net.Conn
	since *atomic.Bool
	// refused gets a value for each write that was refused.
	refused chan<- struct{}
}

func (c deaf) Write(b []byte) (int, error) {
	if !c.since.Load() {
		return c.Conn.Write(b)
	}
	select {
	case c.refused <- struct{}{}:
	default:
	}
	return 0, errors.New("broken pipe")
}

// TestLastWords has the host take nothing more of a caller that still talks. What the
// host says after that reaches the caller.
func TestLastWords(t *testing.T) {
	f := standard(t)
	hosts := f.host.upgrades("")
	var since atomic.Bool
	refused := make(chan struct{}, 1)
	f.dial.Store(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return deaf{conn, &since, refused}, err
	})
	answer, caller, reader, err := f.request(t, f.apiServer(t), "POST", "/exec/default/web/app?command=id", upgrade("SPDY/3.1"))
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got answer %v, error %v", answer, err)
	}
	host := <-hosts
	since.Store(true)
	if _, err := io.WriteString(caller, "the end of input"); err != nil {
		t.Fatal(err)
	}
	<-refused
	// A tunnel that takes the refusal for its end closes the caller's connection now.
	if err := caller.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Peek(1); !isTimeout(err) {
		t.Fatalf("got %v, want silence until the host speaks", err)
	}
	if err := caller.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(host, lastWords); err != nil {
		t.Fatal(err)
	}
	host.Close()
	if said, err := io.ReadAll(reader); err != nil || string(said) != lastWords {
		t.Errorf("got %q, %v, want what the host said last", said, err)
	}
}

// TestUnreadWords has the host end while most of what the caller says is unread. The caller
// reads the host's words to their end, and no reset.
func TestUnreadWords(t *testing.T) {
	f := standard(t)
	hosts := f.host.upgrades(lastWords)
	answer, caller, reader, err := f.request(t, f.apiServer(t), "POST", "/exec/default/web/app?command=id", upgrade("SPDY/3.1"))
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got answer %v, error %v", answer, err)
	}
	(<-hosts).Close()
	sent := make(chan error, 1)
	go func() {
		_, err := caller.Write(make([]byte, 16<<20))
		sent <- err
	}()
	if said, err := io.ReadAll(reader); err != nil || string(said) != lastWords {
		t.Errorf("got %q, %v, want what the host said last", said, err)
	}
	if err := <-sent; err != nil {
		t.Errorf("the caller could not say all: %v", err)
	}
}

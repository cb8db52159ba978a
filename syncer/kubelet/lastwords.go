// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A command that ends has said its last words, and its exit code, while the caller may still send
// something: the end of input, or the size of a terminal. The host no longer takes that. Upstream's
// handler of upgrades ends both directions as soon as one fails, so the words would be lost. Nor may
// the syncer close a connection with something unread in it: the kernel then resets the connection,
// which the caller's next write finds before the words are read.

// lingerTime is how long the syncer waits for a caller to close its end.
const lingerTime = 5 * time.Second

// dialer opens a connection.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// heardOut makes connections of which only reading tells that the other side has ended.
func heardOut(dial dialer) dialer {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return heardOutConn{conn}, nil
	}
}

type heardOutConn struct{ net.Conn }

// Write drops what the other side does not take.
func (c heardOutConn) Write(b []byte) (int, error) {
	_, _ = c.Conn.Write(b)
	return len(b), nil
}

// lingering is a ResponseWriter whose connection, once it is hijacked, closes when the caller has
// read all that was written to it.
type lingering struct{ http.ResponseWriter }

var _ http.Hijacker = lingering{}

func (w lingering) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w lingering) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &lingeringConn{Conn: conn}, buffered, nil
}

type lingeringConn struct {
	net.Conn
	once sync.Once
	err  error
}

// Close says that no more will come, and reads on until the caller ends, too.
func (c *lingeringConn) Close() error {
	c.once.Do(func() {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil &&
			c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.Copy(io.Discard, c.Conn)
		}
		c.err = c.Conn.Close()
	})
	return c.err
}

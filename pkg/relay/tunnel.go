// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

// halfClosedIdle is how long, after one side has said that it will send no
// more, the other may be silent.
const halfClosedIdle = 30 * time.Second

// peer is one end of a tunnel.
type peer struct {
	conn net.Conn
	// reader has what was read of conn too early.
	reader *bufio.Reader
	// response is the answer to the upgrade, on the inner side.
	response *http.Response
	// unbind ends the time limit on the inner side's answer; false when it is over.
	unbind func() bool
}

// join gives the caller the server's 101 and copies in both directions until
// both have closed, or one failed, or nothing was said for too long.
func (r *Relay) join(w http.ResponseWriter, req *http.Request, e entry, inside *peer, protocol string) error {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("the caller's connection cannot be upgraded: %w", err)
	}
	defer conn.Close()
	// From here on the connection is ours, and so are errors.
	e.record.code, e.record.long = http.StatusSwitchingProtocols, true
	defer r.metrics.open(kindTunnel)()
	logger := klog.FromContext(req.Context())
	if err := writeSwitch(conn, w.Header(), inside.response, protocol); err != nil {
		logger.V(4).Info("Tunnel not opened", "err", err)
		return nil
	}
	// What came too early was read through the server, which takes the end of a
	// caller's stream for the end of the request. The rest is read without it.
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		logger.V(4).Info("Tunnel not opened", "err", err)
		return nil
	}
	t := &tunnel{
		caller: &peer{conn: conn, reader: bufio.NewReader(io.MultiReader(bytes.NewReader(early), conn))},
		inside: inside,
		idle:   r.tunnelIdle, halfClosed: halfClosedIdle,
		buffers: r.buffers, over: r.drain.over, metrics: r.metrics,
	}
	t.run(req.Context())
	logger.V(4).Info("Tunnel closed", "bytesIn", t.bytesIn.Load(), "bytesOut", t.bytesOut.Load())
	return nil
}

// writeSwitch tells the caller that the protocol is switched to the one asked
// for. The line and what concerns the connection are ours.
func writeSwitch(conn net.Conn, outer http.Header, response *http.Response, protocol string) error {
	answerHeader(outer, response)
	delete(outer, headerLength)
	outer["Connection"] = []string{"Upgrade"}
	outer["Upgrade"] = []string{protocol}
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	// Writes to a buffer do not fail.
	_ = outer.Write(&head)
	head.WriteString("\r\n")
	if err := conn.SetDeadline(time.Now().Add(upgradeTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(head.Bytes()); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// tunnel copies between two peers. Each direction holds one buffer: who does
// not read stops the other from writing.
type tunnel struct {
	caller, inside    *peer
	idle, halfClosed  time.Duration
	buffers           *bufferPool
	metrics           *Metrics
	bytesIn, bytesOut atomic.Int64
	// over ends with the relay's patience, once it is being drained.
	over context.Context

	// limit is the silence allowed at present, in nanoseconds.
	limit atomic.Int64
	timer *time.Timer
}

// run returns when the tunnel is closed.
func (t *tunnel) run(ctx context.Context) {
	closeBoth := sync.OnceFunc(func() {
		t.caller.conn.Close()
		t.inside.conn.Close()
	})
	defer closeBoth()
	defer context.AfterFunc(ctx, closeBoth)()
	defer context.AfterFunc(t.over, func() { interrupt(t.caller, t.inside) })()
	t.limit.Store(int64(t.idle))
	t.timer = time.AfterFunc(t.idle, closeBoth)
	defer t.timer.Stop()

	var group sync.WaitGroup
	pump := func(to, from *peer, direction string, count *atomic.Int64) {
		if err := t.pump(to, from, direction, count); err != nil {
			if t.over.Err() == nil {
				closeBoth()
			}
			return
		}
		t.limit.Store(int64(t.halfClosed))
		t.touch()
	}
	group.Go(func() { pump(t.inside, t.caller, directionIn, &t.bytesIn) })
	group.Go(func() { pump(t.caller, t.inside, directionOut, &t.bytesOut) })
	group.Wait()
	if t.over.Err() != nil {
		part(t.caller, t.inside)
	}
}

func (t *tunnel) touch() { t.timer.Reset(time.Duration(t.limit.Load())) }

// pump copies until the end of from, and passes the end on. A server that takes nothing more ends it,
// too, without an error: it may have said what the caller still has to hear, such as the output and
// the exit code of a command. A caller that takes nothing more has gone.
func (t *tunnel) pump(to, from *peer, direction string, count *atomic.Int64) error {
	buffer := t.buffers.Get()
	defer t.buffers.Put(buffer)
	for {
		n, err := from.reader.Read(buffer)
		if n > 0 {
			t.touch()
			written, writeErr := to.conn.Write(buffer[:n])
			count.Add(int64(written))
			t.metrics.carried(direction, written)
			if writeErr != nil {
				return t.heard(to, writeErr)
			}
		}
		if err == io.EOF {
			return t.heard(to, closeWrite(to.conn))
		}
		if err != nil {
			return err
		}
	}
}

// heard returns the error of telling a peer something. It is none that a server takes nothing more.
func (t *tunnel) heard(to *peer, err error) error {
	if to == t.inside && !errors.Is(err, errNoHalf) {
		return nil
	}
	return err
}

// errNoHalf says that a connection can be closed in both directions only.
var errNoHalf = errors.New("the connection cannot be closed for writing alone")

// closeWrite tells the peer that nothing more will come. Where a connection
// cannot say so, it is an error, which closes the tunnel.
func closeWrite(conn net.Conn) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errNoHalf
	}
	return half.CloseWrite()
}

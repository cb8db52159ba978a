// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/access"
)

// goodbye is how long a peer is listened to after the relay said that nothing
// more will come. Closing a connection on which bytes arrive resets it, and a
// reset takes away what the peer has not read yet.
const goodbye = time.Second

// drain is the end of the relay's streams. The API server below the relay waits
// for ordinary requests, and for watches of its own; it knows nothing of
// tunnels, and takes relayed watches for requests that never end.
type drain struct {
	// begun ends relayed watches, whose clients go on elsewhere at once, and
	// lets no new stream begin. over ends all other streams.
	begun, over context.Context

	begin, finish context.CancelFunc

	mu   sync.Mutex
	open int
	// empty is closed when draining has begun and no stream is open.
	empty chan struct{}
}

func newDrain() *drain {
	d := &drain{empty: make(chan struct{})}
	d.begun, d.begin = context.WithCancel(context.Background())
	d.over, d.finish = context.WithCancel(context.Background())
	return d
}

// Drain ends the relay's streams: watches at once, all others when they are
// done or ctx ends, whichever is first. It returns when none is open, and tells
// how many were not done.
func (r *Relay) Drain(ctx context.Context) (cut int) {
	r.drain.stop()
	select {
	case <-r.drain.empty:
		return 0
	case <-ctx.Done():
	}
	r.drain.mu.Lock()
	cut = r.drain.open
	r.drain.mu.Unlock()
	klog.FromContext(ctx).Info("Closing relayed streams that are still open", "count", cut)
	r.drain.finish()
	<-r.drain.empty
	return cut
}

// stop lets no further stream begin.
func (d *drain) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun.Err() != nil {
		return
	}
	d.begin()
	if d.open == 0 {
		close(d.empty)
	}
}

// enter counts a stream until the function that it returns is called; false
// when none may begin any more.
func (d *drain) enter() (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun.Err() != nil {
		return nil, false
	}
	d.open++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.open--; d.open == 0 && d.begun.Err() != nil {
			close(d.empty)
		}
	}), true
}

// follow has the answer to a long-running request end as if by itself when the
// relay is drained.
func (d *drain) follow(response *http.Response, watch bool) {
	end := d.over
	if watch {
		end = d.begun
	}
	leave, ok := d.enter()
	if !ok {
		// It was let in a moment before: its answer ends as it begins.
		leave, end = func() {}, d.begun
	}
	body := response.Body
	stop := context.AfterFunc(end, func() { body.Close() })
	response.Body = &endingBody{ReadCloser: body, end: end, leave: func() { stop(); leave() }}
}

// endingBody turns the error that its end causes into an ordinary end.
type endingBody struct {
	io.ReadCloser
	end   context.Context
	leave func()
}

func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.end.Err() != nil {
		err = io.EOF
	}
	return n, err
}

func (b *endingBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

func leaving(cluster *tenancy.VirtualCluster) error {
	return access.Unavailable(cluster, retryUnreachable, "ShuttingDown", "this replica of garret-apiserver is shutting down")
}

// interrupt has reads and writes that are under way return.
func interrupt(peers ...*peer) {
	for _, p := range peers {
		_ = p.conn.SetReadDeadline(time.Now())
		// What is being written may arrive yet.
		_ = p.conn.SetWriteDeadline(time.Now().Add(goodbye))
	}
}

// part tells both peers that nothing more will come, hears out what they still
// have to say for a while, and closes. The pumps must have been stopped.
func part(peers ...*peer) {
	var group sync.WaitGroup
	for _, p := range peers {
		group.Go(func() {
			defer p.conn.Close()
			if err := p.conn.SetDeadline(time.Now().Add(goodbye)); err != nil {
				return
			}
			if err := closeWrite(p.conn); err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, onlyReader{p.conn})
		})
	}
	group.Wait()
}

// onlyReader hides the other methods of a connection from io.Copy.
type onlyReader struct{ net.Conn }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"sync/atomic"

	"github.com/k3s-io/kine/pkg/logstructured"
	"github.com/k3s-io/kine/pkg/server"
)

// newest is the highest revision of a database that this process alone writes to.
//
// kine keeps this number, too, and it forgets: of two writes that end at the same moment it
// may keep the lower one, until the next write. It reports the number as the progress of
// watches, so a cache that waits for the higher one waits until somebody writes again. In a
// quiet cluster that is minutes, in which no consistent list of that cache and no informer's
// first list ends.
type newest struct {
	revision atomic.Int64
	// written has something to receive after a write.
	written chan struct{}
}

func newNewest() *newest { return &newest{written: make(chan struct{}, 1)} }

// raise notes a revision that was written. There is none to note without a receiver.
func (n *newest) raise(revision int64) {
	for n != nil {
		known := n.revision.Load()
		if revision <= known || n.revision.CompareAndSwap(known, revision) {
			return
		}
	}
}

// known is the revision, or zero as long as nobody has noted one.
func (n *newest) known() int64 { return n.revision.Load() }

// counting is a log that knows its newest revision. It leaves the outcome of a write in the
// context, where kine drops it.
type counting struct {
	logstructured.Log
	newest *newest
}

// Append implements logstructured.Log.
func (c counting) Append(ctx context.Context, event *server.Event) (int64, error) {
	revision, err := c.Log.Append(ctx, event)
	if err == nil {
		c.newest.raise(revision)
		select {
		case c.newest.written <- struct{}{}:
		default:
		}
	}
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		*o = outcome{told: true, revision: revision, err: err}
	}
	return revision, err
}

// CurrentRevision asks the database once. After that it cannot fail, which kine relies on: when
// it fails once for a request for progress, kine answers no later one on that stream.
func (c counting) CurrentRevision(ctx context.Context) (int64, error) {
	if known := c.newest.known(); known > 0 {
		return known, nil
	}
	revision, err := c.Log.CurrentRevision(ctx)
	if err != nil {
		return 0, err
	}
	c.newest.raise(revision)
	return c.newest.known(), nil
}

// Watch ends at once where kine could not begin to read the log. By itself it returns no
// channel then, and the watch would neither get an event nor end.
func (c counting) Watch(ctx context.Context) <-chan server.EventBatch {
	if events := c.Log.Watch(ctx); events != nil {
		return events
	}
	ended := make(chan server.EventBatch)
	close(ended)
	return ended
}

// single is the backend of a database that this process alone writes to.
type single struct {
	server.Backend
	newest *newest
}

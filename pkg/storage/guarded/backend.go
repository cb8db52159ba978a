// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"bytes"
	"cmp"
	"context"
	"errors"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Guard returns a backend that tells success from failure; refused hears of each
// write that failed for a reason of the datastore.
func Guard(backend server.Backend, refused func(error)) server.Backend {
	c := &checked{Backend: backend, refused: refused}
	if s, ok := backend.(*single); ok {
		c.newest = s.newest
	}
	return c
}

type checked struct {
	server.Backend
	refused func(error)
	// newest hears what watches get, so that kine reports no less to them afterwards. Nil where
	// the backend counts without it.
	newest *newest
}

// outcome is what became of the last attempt to write on behalf of one request.
type outcome struct {
	// told says that the rest is known, as it is of SQLite alone.
	told     bool
	revision int64
	err      error
}

type outcomeKey struct{}

// errMeanwhile is that of a key that was deleted, and its history compacted, while it was made.
var errMeanwhile = errors.New("the key changed meanwhile: try again")

// errUnanswered is that of a write that may have been done.
var errUnanswered = errors.New("the database server did not answer, and may have done it: look before trying again")

// Create returns the revision that the object really has: of one whose key was
// there before and was deleted, kine returns whichever is the newest by then.
func (c *checked) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	var last outcome
	ctx = context.WithValue(ctx, outcomeKey{}, &last)
	revision, err := c.Backend.Create(ctx, key, value, lease)
	switch {
	case errors.Is(err, server.ErrKeyExists):
		// Said also of a second attempt that failed for another reason.
		if last.err != nil && !errors.Is(last.err, server.ErrKeyExists) {
			return 0, c.fail(ctx, last.err)
		}
		if !last.told {
			// The connection may have ended after the row was written: then it is
			// our own that kine found. It is no conflict, and nobody
			// knows whether it was somebody else's with the same content.
			if own, err := c.created(ctx, key, value); err != nil || own != 0 {
				return 0, c.fail(ctx, cmp.Or(err, errUnanswered))
			}
		}
		return revision, err
	case err != nil:
		return 0, c.fail(ctx, err)
	case !last.told:
		return c.confirmed(ctx, key, value, revision)
	case last.err != nil:
		return 0, c.fail(ctx, last.err)
	case last.revision == 0:
		return 0, c.fail(ctx, errMeanwhile)
	}
	return last.revision, nil
}

// confirmed looks for what was created, since a server's driver does not tell.
func (c *checked) confirmed(ctx context.Context, key string, value []byte, revision int64) (int64, error) {
	_, written, err := c.Backend.Get(ctx, key, revision, true)
	if err == nil && written != nil && written.ModRevision == revision {
		return revision, nil
	}
	// At another revision, before that one or after it.
	if revision, err = c.created(ctx, key, value); err != nil || revision == 0 {
		return 0, c.fail(ctx, err)
	}
	return revision, nil
}

// created is the revision at which the key was created with this value, and 0 if it is not as it was then.
func (c *checked) created(ctx context.Context, key string, value []byte) (int64, error) {
	_, kv, err := c.Backend.Get(ctx, key, 0, false)
	if err != nil || kv == nil || kv.CreateRevision != kv.ModRevision || !bytes.Equal(kv.Value, value) {
		return 0, err
	}
	return kv.ModRevision, nil
}

func (c *checked) Update(ctx context.Context, key string, value []byte, revision, lease int64) (int64, *server.KeyValue, bool, error) {
	var last outcome
	ctx = context.WithValue(ctx, outcomeKey{}, &last)
	current, stored, updated, err := c.Backend.Update(ctx, key, value, revision, lease)
	if err != nil || (!updated && stored != nil && stored.ModRevision == revision) {
		return 0, nil, false, c.fail(ctx, errors.Join(last.err, err))
	}
	return current, stored, updated, nil
}

func (c *checked) Delete(ctx context.Context, key string, revision int64) (int64, *server.KeyValue, bool, error) {
	var last outcome
	ctx = context.WithValue(ctx, outcomeKey{}, &last)
	current, stored, deleted, err := c.Backend.Delete(ctx, key, revision)
	if err != nil || (!deleted && stored != nil && stored.ModRevision == revision) {
		return 0, nil, false, c.fail(ctx, errors.Join(last.err, err))
	}
	return current, stored, deleted, nil
}

// fail reports a write that did not happen. A request that was given up says
// nothing about the datastore.
func (c *checked) fail(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	if cause == nil {
		cause = errors.New("the database server refused it; its own log says why")
	}
	c.refused(cause)
	return status.Error(codes.Internal, "the datastore did not take a write: "+cause.Error())
}

// List collects the stream of the same name, which tells a failure from an end.
func (c *checked) List(ctx context.Context, key, end string, limit, revision int64, keysOnly bool) (int64, []*server.KeyValue, error) {
	// Its sender must not stay behind when this returns early.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := c.ListStream(ctx, key, end, limit, revision, keysOnly)
	var kvs []*server.KeyValue
	for kv := range stream.KVc {
		kvs = append(kvs, kv)
	}
	if err := <-stream.Errorc; err != nil {
		return stream.CurrentRevision, nil, err
	}
	return stream.CurrentRevision, kvs, nil
}

// Watch refuses to begin with events that lack their end. The newest row is
// never compacted, so all of them must lead up to the current revision.
func (c *checked) Watch(ctx context.Context, revision int64) server.WatchResult {
	ctx, cancel := context.WithCancel(ctx)
	result := c.Backend.Watch(ctx, revision)
	source := result.Eventc
	first, open := <-source
	events := make(chan server.EventBatch, 1)
	if n := len(first.Events); n > 0 && first.Events[n-1].KV.ModRevision != first.CurrentRev {
		cancel()
		failed := make(chan error, 1)
		failed <- status.Error(codes.Unavailable, "the datastore broke off while it read the events to begin with")
		close(events)
		return server.WatchResult{CurrentRevision: result.CurrentRevision, Eventc: events, Errorc: failed}
	}
	if open {
		c.newest.raise(first.CurrentRev)
		events <- first
	}
	go func() {
		defer cancel()
		defer close(events)
		for batch := range source {
			c.newest.raise(batch.CurrentRev)
			select {
			case events <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	result.Eventc = events
	return result
}

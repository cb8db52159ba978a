// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// orderPatience is how long a read waits for the writes before its revision.
const orderPatience = 10 * time.Second

// ordered is a backend on a database server, several writers of which commit in
// another order than that of the revisions which they were given. It answers of a
// revision when all writes before it are seen, so that what a list lacks comes by
// a watch from its revision.
//
// A single object is read without that: it says nothing of others, and its
// revision only tells how far a cache has to be.
type ordered struct {
	server.Backend
	log *follower
}

// ListStream lists again where the first list may lack a write that was open. Guard lists by it alone.
func (o *ordered) ListStream(ctx context.Context, key, end string, limit, revision int64, keysOnly bool) server.ListResult {
	whole, _ := o.log.seen()
	result := o.Backend.ListStream(ctx, key, end, limit, revision, keysOnly)
	at := revisionOf(revision, result.CurrentRevision)
	if at <= whole {
		return result
	}
	for range result.KVc {
		// To its end, since to break off a query costs its connection.
	}
	err := <-result.Errorc
	if err == nil {
		err = o.await(ctx, at)
	}
	if err != nil {
		return failedList(err)
	}
	result = o.Backend.ListStream(ctx, key, end, limit, at, keysOnly)
	result.CurrentRevision = at
	return result
}

// Count counts again in the same way.
func (o *ordered) Count(ctx context.Context, key, end string, revision int64) (int64, int64, error) {
	whole, _ := o.log.seen()
	current, count, err := o.Backend.Count(ctx, key, end, revision)
	at := revisionOf(revision, current)
	if err != nil || at <= whole {
		return current, count, err
	}
	if err := o.await(ctx, at); err != nil {
		return 0, 0, err
	}
	_, count, err = o.Backend.Count(ctx, key, end, at)
	return at, count, err
}

// revisionOf is the revision that was read at: the newest, unless one was asked for.
func revisionOf(asked, newest int64) int64 {
	if asked > 0 && newest > 0 {
		return asked
	}
	return newest
}

// CurrentRevision is what watches report as their progress. kine's own is what
// this process wrote last where others write too.
func (o *ordered) CurrentRevision(context.Context) (int64, error) {
	whole, _ := o.log.seen()
	return whole, nil
}

// Watch gives the events from a revision on, each once and in order.
func (o *ordered) Watch(ctx context.Context, revision int64) server.WatchResult {
	ctx, cancel := context.WithCancel(ctx)
	// In this order: whatever is committed after the history was read is live.
	whole, live := o.log.watch(ctx)
	first := server.EventBatch{CurrentRev: whole}
	if revision > 0 {
		past, compacted, err := history(ctx, o.Backend, revision-1)
		if err != nil || compacted > 0 {
			cancel()
			return failedWatch(server.WatchResult{CurrentRevision: whole, CompactRevision: compacted}, err)
		}
		first.Events = upTo(whole, past.Events)
	}
	// One that begins ahead must not get a revision before its beginning.
	begin := max(whole, revision-1)
	if begin > whole {
		first.CurrentRev = 0
	}
	events := make(chan server.EventBatch, 1)
	events <- first
	go func() {
		defer cancel()
		defer close(events)
		for batch := range live {
			if batch.CurrentRev < begin {
				continue
			}
			select {
			case events <- batch.After(begin):
			case <-ctx.Done():
				return
			}
		}
	}()
	return server.WatchResult{CurrentRevision: whole, Eventc: events, Errorc: make(chan error)}
}

// upTo are those events, of some in order, that are not above a revision.
func upTo(revision int64, events []*server.Event) []*server.Event {
	for len(events) > 0 && events[len(events)-1].KV.ModRevision > revision {
		events = events[:len(events)-1]
	}
	return events[:len(events):len(events)]
}

// await waits until all writes up to a revision are seen, or says that they are not.
func (o *ordered) await(ctx context.Context, revision int64) error {
	limited, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	switch err := o.log.await(limited, revision); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	default:
		return status.Errorf(codes.Internal, "the datastore has a write before revision %d that has not ended for %s: "+
			"look at the open transactions of the database server, and at whether all that write to it can reach it", revision, orderPatience)
	}
}

func failedList(err error) server.ListResult {
	kvs, errs := make(chan *server.KeyValue), make(chan error, 1)
	errs <- err
	close(kvs)
	close(errs)
	return server.ListResult{KVc: kvs, Errorc: errs}
}

func failedWatch(result server.WatchResult, err error) server.WatchResult {
	events, errs := make(chan server.EventBatch), make(chan error, 1)
	if err != nil {
		errs <- err
	}
	close(events)
	result.Eventc, result.Errorc = events, errs
	return result
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"github.com/sirupsen/logrus"
)

const (
	// lookBack is how far below the newest row writes are looked for that were
	// not committed yet at the start: of so many rows none is ever compacted.
	lookBack = retained
	// lookInterval is how often the log is read whether kine tells of rows or
	// not, and lookTimeout how long that may take.
	lookInterval = time.Second
	lookTimeout  = 5 * time.Second
	// nudgeInterval is after what time a read that waits has the log read at
	// once: kine looks again a second after a gap that it could not fill.
	nudgeInterval = 20 * time.Millisecond
	// gapLife is when a revision that does not appear counts as one that never
	// will. No write is open for so long: see abandoned.
	gapLife = 30 * time.Second
	// watchBuffer is how many batches a watch may be behind before it is ended.
	watchBuffer = 100
)

// follower reads a log in the order of its revisions, leaving none out.
type follower struct {
	backend server.Backend
	// nudge has the log read at once.
	nudge chan struct{}
	gap   gap

	mu sync.Mutex
	// whole is the revision up to which every row was seen. It is written by run alone.
	whole int64
	// moved is closed, and replaced, when whole moves.
	moved   chan struct{}
	watches map[chan server.EventBatch]struct{}
}

// follow begins to follow the log, until run ends, and waits until it is seen as
// far as it went at the beginning.
func follow(run context.Context, wait *sync.WaitGroup, backend server.Backend) (*follower, error) {
	newest, _, err := backend.Get(run, server.HealthKey, 0, true)
	if err != nil {
		return nil, err
	}
	f := &follower{
		backend: backend, nudge: make(chan struct{}, 1),
		// kine cannot read from the very first row.
		whole: max(1, newest-lookBack), moved: make(chan struct{}), watches: map[chan server.EventBatch]struct{}{},
	}
	wait.Go(func() { f.run(run) })
	return f, f.await(run, newest)
}

// run reads what kine tells of, and looks for itself where that leaves
// something out: kine does not tell of the rows that it fills gaps with, passes a
// gap over when filling it fails, and ends a watch that was not read for a while.
func (f *follower) run(ctx context.Context) {
	defer f.cut()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	told := f.backend.Watch(ctx, 0).Eventc
	for {
		select {
		case <-ctx.Done():
			return
		case batch, open := <-told:
			if rows := batch.After(f.whole).Events; open && follows(f.whole, rows) {
				f.advance(rows)
				continue
			}
			if !open {
				told = nil
			}
		case <-f.nudge:
		case <-ticker.C:
			if told == nil {
				told = f.backend.Watch(ctx, 0).Eventc
			}
		}
		f.look(ctx)
	}
}

// follows tells whether rows go on from a revision without a gap.
func follows(revision int64, rows []*server.Event) bool {
	return len(rows) == 0 || rows[0].KV.ModRevision == revision+1 && rows[len(rows)-1].KV.ModRevision == revision+int64(len(rows))
}

// look reads on from where the log is whole.
func (f *follower) look(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	past, compacted, err := history(limited, f.backend, f.whole)
	if compacted > 0 {
		// Away for so long that what came next is gone: watches must begin again.
		f.cut()
		f.move(compacted, nil)
		return
	}
	if err != nil {
		// That it does not answer is for others to tell; the next look comes.
		return
	}
	whole, rows := f.whole, past.Events[:0:0]
	for _, row := range past.Events {
		if missing := whole + 1; row.KV.ModRevision != missing && !f.gap.over(missing, time.Now()) {
			break
		} else if row.KV.ModRevision != missing {
			logrus.Warnf("Revisions %d to %d have not appeared for %s, and count as failed writes", missing, row.KV.ModRevision-1, gapLife)
		}
		whole, rows = row.KV.ModRevision, append(rows, row)
	}
	f.advance(rows)
}

// advance moves to the last of these rows.
func (f *follower) advance(rows []*server.Event) {
	if len(rows) > 0 {
		f.move(rows[len(rows)-1].KV.ModRevision, rows)
	}
}

// move makes the log whole up to a revision, and hands on the rows that did so.
func (f *follower) move(whole int64, rows []*server.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.whole = whole
	close(f.moved)
	f.moved = make(chan struct{})
	// kine's server appends to the slice, which all watches share.
	batch := server.EventBatch{CurrentRev: whole, Events: rows[:len(rows):len(rows)]}
	for watch := range f.watches {
		select {
		case watch <- batch:
		default:
			f.end(watch)
		}
	}
}

// watch returns the revision up to which the log is whole, and all that comes
// after it. The channel is closed when ctx ends, or when it is not read in time.
func (f *follower) watch(ctx context.Context) (int64, <-chan server.EventBatch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	watch := make(chan server.EventBatch, watchBuffer)
	f.watches[watch] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.end(watch)
	})
	return f.whole, watch
}

// end ends a watch, once. The caller holds the lock.
func (f *follower) end(watch chan server.EventBatch) {
	if _, open := f.watches[watch]; open {
		delete(f.watches, watch)
		close(watch)
	}
}

// cut ends all watches: whoever still wants one begins where it stopped reading.
func (f *follower) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for watch := range f.watches {
		f.end(watch)
	}
}

// seen is the revision up to which the log is whole, and a channel that is closed when it moves.
func (f *follower) seen() (int64, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.whole, f.moved
}

// await waits until the log is whole up to a revision.
func (f *follower) await(ctx context.Context, revision int64) error {
	for {
		whole, moved := f.seen()
		if whole >= revision {
			return nil
		}
		select {
		case <-moved:
		case <-time.After(nudgeInterval):
			select {
			case f.nudge <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gap is the revision that the log is not whole for.
type gap struct {
	revision int64
	since    time.Time
}

// over tells whether a revision has been missing for so long that it will not come.
func (g *gap) over(revision int64, now time.Time) bool {
	if g.revision != revision {
		*g = gap{revision, now}
	}
	return now.Sub(g.since) > gapLife
}

// history reads the rows above a revision as they are at one moment, in order.
// If they are not all there any more it returns the revision of the compaction.
func history(ctx context.Context, backend server.Backend, revision int64) (rows server.EventBatch, compacted int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// kine's watches begin with that, read before they are returned.
	result := backend.Watch(ctx, revision+1)
	select {
	case err = <-result.Errorc:
	default:
	}
	return <-result.Eventc, result.CompactRevision, err
}

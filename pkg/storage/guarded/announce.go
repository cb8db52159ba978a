// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"time"

	"github.com/k3s-io/kine/pkg/server"
)

// announceAfter is how long kine may take to tell watches of a write until it is asked to.
const announceAfter = 100 * time.Millisecond

// watchAgainAfter is how long a watch of kine's log that ended is not begun again.
const watchAgainAfter = time.Second

// announceTries is how often kine is asked about one write. A poll that began after the write has
// nothing to tell of it.
const announceTries = 10

// announce has watches told of each write soon, until ctx ends. Told has what kine tells of, and
// seen is the revision from which on it does.
//
// kine reads its log when a write ends, but not always: at the first write after a start, and
// at each one after the log could not be read, it only prepares to read. Watches then get the
// event with the next write, or when kine polls. A database with one writer is polled seldom.
func (s *single) announce(ctx context.Context, told <-chan server.EventBatch, seen int64) {
	tries := 0
	late := time.NewTimer(announceAfter)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case batch, open := <-told:
			if !open {
				told = nil
				late.Reset(watchAgainAfter)
				continue
			}
			if seen = max(seen, batch.CurrentRev); seen >= s.newest.known() {
				late.Stop()
				continue
			}
		case <-s.newest.written:
			if tries = 0; seen >= s.newest.known() {
				continue
			}
		case <-late.C:
			if told == nil {
				told, tries = s.events(ctx), 0
			}
			if seen >= s.newest.known() || tries == announceTries {
				continue
			}
			// What a read finds newer than what kine has told of has it look. Whether the read
			// succeeds is for others to tell.
			if _, _, err := s.Backend.Get(ctx, server.HealthKey, 0, true); err == nil {
				tries++
			}
		}
		late.Reset(announceAfter)
	}
}

// events are what kine tells watches of from now on. It leaves out the batch with which a watch
// begins: that is what the database has, whether or not other watches know it.
func (s *single) events(ctx context.Context) <-chan server.EventBatch {
	events := s.Backend.Watch(ctx, 0).Eventc
	<-events
	return events
}

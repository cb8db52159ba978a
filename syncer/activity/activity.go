// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy/ignore"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// maxOpen is how many streams are kept. One is enough to keep a virtual cluster awake.
const maxOpen = 1024

// Activity notes when somebody used the virtual cluster. It is safe for concurrent use.
type Activity struct {
	clock  clock.WithTicker
	report func(time.Time)
	seed   maphash.Seed
	// changed has room for one note that there was a use.
	changed chan struct{}

	mu    sync.Mutex
	rules []tenancyv1.IgnoredRequests
	// last is when it was used last; open are the streams that use it, and when each has
	// ended at the latest.
	last time.Time
	open map[uint64]time.Time
}

// New returns an Activity whose Run says when the virtual cluster was used: at once, and then
// at most once a minute.
func New(clock clock.WithTicker, report func(time.Time)) *Activity {
	return &Activity{clock: clock, report: report, seed: maphash.MakeSeed(), changed: make(chan struct{}, 1), open: map[uint64]time.Time{}}
}

// Observe takes what requests are no activity.
func (a *Activity) Observe(cluster *tenancyv1.VirtualCluster) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rules = cluster.Spec.Sleep.Ignore
}

// Stopped says that the API server has ended, and every stream with it.
func (a *Activity) Stopped() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.open)
}

// note takes events as they come.
func (a *Activity) note(events []event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	used := false
	for i := range events {
		used = a.noteOne(&events[i]) || used
	}
	if !used {
		return
	}
	a.last = a.clock.Now()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *Activity) noteOne(e *event) bool {
	if !e.somebodys() {
		return false
	}
	stream := a.stream(e)
	switch e.Stage {
	case stageStarted:
		if ignore.Any(a.rules, e.use()) {
			return false
		}
		if len(a.open) < maxOpen {
			a.open[stream] = a.clock.Now().Add(e.atMost())
		}
		return true
	case stageComplete, stagePanic:
		// A stream that began as a use ends as one, whatever the rules say by now.
		if _, open := a.open[stream]; open {
			delete(a.open, stream)
			return true
		}
		return !ignore.Any(a.rules, e.use())
	}
	return false
}

// stream is the same for the beginning and the end of a request. A client chooses the audit
// id, and may choose it twice.
func (a *Activity) stream(e *event) uint64 {
	var hash maphash.Hash
	hash.SetSeed(a.seed)
	for _, part := range []string{e.AuditID, e.Received, e.Verb, e.RequestURI, e.User.Username} {
		// Writing to a hash never fails.
		_, _ = hash.WriteString(part)
		_ = hash.WriteByte(0)
	}
	return hash.Sum64()
}

// used is when the virtual cluster was used last, and whether it still is.
func (a *Activity) used() (last time.Time, still bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	for stream, end := range a.open {
		if end.Before(now) {
			delete(a.open, stream)
		}
	}
	if len(a.open) > 0 {
		a.last = now
	}
	return a.last, len(a.open) > 0
}

// Run reports until the context ends. It does nothing while nobody uses the virtual cluster.
func (a *Activity) Run(ctx context.Context) error {
	var told time.Time
	for {
		last, still := a.used()
		if last.After(told) {
			a.report(last)
			told = last
			still = true
		}
		// Then once more after a minute: by then somebody may have used it again.
		if still {
			select {
			case <-a.clock.After(tenancyv1.ActivityInterval):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case <-a.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

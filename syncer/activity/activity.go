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

const (
	// maxOpen is how many streams are kept. One is enough to keep a virtual cluster awake.
	maxOpen = 1024
	// ageInterval is how often the API server is asked for its age while streams are open.
	ageInterval = 5 * time.Minute
	// youngest is how old an API server is at least when it tells of its first stream, and how
	// far its age is off at most.
	youngest = time.Second
)

// stream is a request that stays open: since when, and until when at the latest.
type stream struct{ since, end time.Time }

// Activity notes when somebody used the virtual cluster. It is safe for concurrent use.
type Activity struct {
	// Age, when set, is for how long the process of the API server has run, if that is known.
	// Streams that are older ended with an earlier process, which told nobody.
	Age func(context.Context) (age time.Duration, known bool)

	clock  clock.WithTicker
	report func(time.Time)
	seed   maphash.Seed
	// changed has room for one note that there was a use.
	changed chan struct{}

	mu    sync.Mutex
	rules []tenancyv1.IgnoredRequests
	// last is when it was used last; open are the streams that use it.
	last time.Time
	open map[uint64]stream
	// aged is when the API server was last asked for its age, or when the first of the open
	// streams began.
	aged time.Time
}

// New returns an Activity whose Run says when the virtual cluster was used: at once, and then
// at most once a minute.
func New(clock clock.WithTicker, report func(time.Time)) *Activity {
	return &Activity{clock: clock, report: report, seed: maphash.MakeSeed(), changed: make(chan struct{}, 1), open: map[uint64]stream{}}
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
	id := a.identify(e)
	switch e.Stage {
	case stageStarted:
		if ignore.Any(a.rules, e.use()) {
			return false
		}
		now := a.clock.Now()
		if len(a.open) == 0 {
			a.aged = now
		}
		if len(a.open) < maxOpen {
			a.open[id] = stream{since: now, end: now.Add(e.atMost())}
		}
		return true
	case stageComplete, stagePanic:
		// A stream that began as a use ends as one, whatever the rules say by now.
		if _, open := a.open[id]; open {
			delete(a.open, id)
			return true
		}
		return !ignore.Any(a.rules, e.use())
	}
	return false
}

// identify is the same for the beginning and the end of a request. A client chooses the audit
// id, and may choose it twice.
func (a *Activity) identify(e *event) uint64 {
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
	for id, stream := range a.open {
		if stream.end.Before(now) {
			delete(a.open, id)
		}
	}
	if len(a.open) > 0 {
		a.last = now
	}
	return a.last, len(a.open) > 0
}

// survive drops the streams that have ended with an earlier process of the API server.
func (a *Activity) survive(ctx context.Context) {
	a.mu.Lock()
	due := a.Age != nil && len(a.open) > 0 && a.clock.Since(a.aged) >= ageInterval
	a.mu.Unlock()
	if !due {
		return
	}
	age, known := a.Age(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.aged = a.clock.Now()
	if !known {
		return
	}
	// By differences, so that a clock that was set does not matter.
	first := a.aged.Add(youngest - age)
	for id, stream := range a.open {
		if stream.since.Before(first) {
			delete(a.open, id)
		}
	}
}

// Run reports until the context ends. It does nothing while nobody uses the virtual cluster.
func (a *Activity) Run(ctx context.Context) error {
	var told time.Time
	for {
		a.survive(ctx)
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

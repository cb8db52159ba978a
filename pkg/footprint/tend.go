// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// interval is how often Tend looks whether the process is in use.
	interval = 30 * time.Second
	// looksToRelease is how many looks later the program's pages are released again while it is
	// not: what runs seldom brings more of them back than what runs often uses.
	looksToRelease = 10
)

// Settings say how a process is tended.
type Settings struct {
	// Busy and Idle are how many percent the heap may grow beyond what it holds before it is
	// collected. An operator who sets GOGC decides alone.
	Busy, Idle int
	// Rate is how many bytes a second a process allocates at most that nobody uses.
	Rate uint64
	// Report gets what went wrong.
	Report func(error)
}

// Tend makes the heap follow what it holds closely while nobody uses the process, and lets timers go
// off together. It lets go of the program's pages when that begins, and every few minutes after.
// It returns when the context ends.
func Tend(ctx context.Context, s Settings) {
	t := tender{Settings: s, collect: debug.SetGCPercent, release: ReleasePages, slack: SlackTimers, before: allocated()}
	if os.Getenv("GOGC") != "" {
		t.collect = func(int) int { return 0 }
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.look(allocated())
		}
	}
}

// tender knows how the process was when it looked last.
type tender struct {
	Settings
	collect func(int) int
	release func() error
	slack   func(time.Duration) error
	idle    bool
	// looks is how often it looked since the pages were released.
	looks  int
	before uint64
}

// look compares how many bytes were allocated so far with the last time.
func (t *tender) look(now uint64) {
	idle := now-t.before < t.Rate*uint64(interval/time.Second)
	t.before = now
	switch {
	case idle && !t.idle:
		t.collect(t.Idle)
		t.letGo()
		t.try(t.slack(idleSlack))
	case idle:
		if t.looks++; t.looks >= looksToRelease {
			t.letGo()
		}
	case t.idle:
		t.collect(t.Busy)
		t.try(t.slack(busySlack))
	}
	t.idle = idle
}

// letGo gives back what the heap has free, and releases the program's pages. Go collects what
// nobody uses each two minutes anyway, so one more collection in five costs little.
func (t *tender) letGo() {
	t.looks = 0
	debug.FreeOSMemory()
	t.try(t.release())
}

// try reports what went wrong. The process runs on without it.
func (t *tender) try(err error) {
	if err != nil {
		t.Report(err)
	}
}

// allocated is how many bytes were allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

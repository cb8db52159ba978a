// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	// interval is how often Tend looks whether the process is in use.
	interval = 30 * time.Second
	// looksToCollect is how many looks later garbage is collected again, at the latest, and looksToRelease
	// how many later the program's pages are released again.
	looksToCollect, looksToRelease = 20, 3
	// burst is how much more than Settings.Garbage a process that was idle allocates before it
	// counts as busy at once. No idle process allocates that much between two looks.
	burst = 32 << 20
)

// Settings say how a process is tended.
type Settings struct {
	// Busy is how many percent the heap may grow beyond what it holds before it is collected,
	// while the process is in use. An operator who sets GOGC decides alone.
	Busy int
	// Garbage is how many bytes gather before they are collected while nobody uses the process. Go
	// by itself collects each two minutes.
	Garbage uint64
	// Rate is how many bytes a second a process allocates at most that nobody uses.
	Rate uint64
	// Report gets what went wrong.
	Report func(error)
}

// Tend collects garbage seldom while nobody uses the process, gives what is free back to the
// kernel, and the program's pages more often, and lets timers go off together. A process that is in use again
// is as before at the next look, or as soon as it has allocated much. Tend returns when the context
// ends.
func Tend(ctx context.Context, s Settings) {
	t := newTender(s)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			t.wake()
			return
		case <-ticker.C:
			t.look()
		case <-t.filled:
			t.wake()
		}
	}
}

// tender knows how the process was when it looked last.
type tender struct {
	Settings
	measure func() usage
	collect func()
	percent func(int)
	limit   func(bytes int64) (before int64)
	release func() error
	slack   func(time.Duration) error
	// single has one thread at a time run the program, or as many as there are processors.
	single func(bool)

	// most is the limit of memory that an operator set.
	most int64
	idle bool
	// looks is how often it looked since garbage was collected, and kept how many bytes were left.
	looks  int
	kept   uint64
	before uint64
	// filled has a value when the garbage collector ran though nobody asked it to while the
	// process was idle, and round counts what was asked.
	filled chan struct{}
	round  *atomic.Int64
}

func newTender(s Settings) *tender {
	t := &tender{
		Settings: s, measure: measure, collect: debug.FreeOSMemory, limit: debug.SetMemoryLimit, release: ReleasePages, slack: SlackTimers, single: single,
		percent: func(percent int) { debug.SetGCPercent(percent) },
		filled:  make(chan struct{}, 1), round: &atomic.Int64{},
	}
	if os.Getenv("GOMAXPROCS") != "" {
		t.single = func(bool) {}
	}
	if os.Getenv("GOGC") != "" {
		t.percent = func(int) {}
		t.limit = func(int64) int64 { return math.MaxInt64 }
	}
	t.most = t.limit(-1)
	t.before = t.measure().allocated
	return t
}

// look compares how many bytes were allocated so far with the last time.
func (t *tender) look() {
	now := t.measure()
	idle := now.allocated-t.before < t.Rate*uint64(interval/time.Second)
	t.before = now.allocated
	if !idle {
		t.wake()
		return
	}
	if !t.idle {
		t.idle = true
		t.try(t.slack(idleSlack))
		t.single(true)
		t.rest()
		return
	}
	if t.looks++; t.looks >= looksToCollect || now.heap >= t.kept+t.Garbage {
		t.rest()
		return
	}
	if t.looks%looksToRelease == 0 {
		t.try(t.release())
	}
}

// rest gives back what the process has free, and has the collector rest until the next time.
func (t *tender) rest() {
	t.looks = 0
	round := t.round.Add(1)
	t.collect()
	t.try(t.release())
	now := t.measure()
	t.kept = now.heap
	t.limit(min(t.most, int64(now.total+t.Garbage+burst)))
	t.percent(-1)
	// The collector finds that nothing refers to this. A round that is over says nothing any more.
	runtime.AddCleanup(new([2]uint64), func(filled chan<- struct{}) {
		if t.round.Load() != round {
			return
		}
		select {
		case filled <- struct{}{}:
		default:
		}
	}, t.filled)
}

// wake has the process as it was before it was idle.
func (t *tender) wake() {
	if !t.idle {
		return
	}
	t.idle = false
	t.round.Add(1)
	t.percent(t.Busy)
	t.limit(t.most)
	t.single(false)
	t.try(t.slack(busySlack))
}

// try reports what went wrong. The process runs on without it.
func (t *tender) try(err error) {
	if err != nil {
		t.Report(err)
	}
}

// single has Go run one goroutine at a time, or as many as the process has processors. With several, Go
// wakes a second thread for whatever a timer started, which then looks for more work in vain.
func single(one bool) {
	if one {
		runtime.GOMAXPROCS(1)
	} else {
		runtime.SetDefaultGOMAXPROCS()
	}
}

// usage is what a process has allocated and holds, in bytes.
type usage struct {
	// allocated counts everything since the start, heap what is there with garbage, and total all
	// that Go has from the kernel.
	allocated, heap, total uint64
}

func measure() usage {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	of := func(i int) uint64 { return samples[i].Value.Uint64() }
	return usage{allocated: of(0), heap: of(1), total: of(2) - of(3)}
}

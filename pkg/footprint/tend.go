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

// interval is how often Tend looks whether the process is in use.
const interval = 30 * time.Second

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

// Tend makes the heap follow what it holds closely while nobody uses the process, and lets go of
// the program's pages whenever that begins. It returns when the context ends.
func Tend(ctx context.Context, s Settings) {
	t := tender{Settings: s, collect: debug.SetGCPercent, release: ReleasePages, before: allocated()}
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
	idle    bool
	before  uint64
}

// look compares how many bytes were allocated so far with the last time.
func (t *tender) look(now uint64) {
	idle := now-t.before < t.Rate*uint64(interval/time.Second)
	t.before = now
	if idle == t.idle {
		return
	}
	t.idle = idle
	if !idle {
		t.collect(t.Busy)
		return
	}
	t.collect(t.Idle)
	debug.FreeOSMemory()
	if err := t.release(); err != nil {
		t.Report(err)
	}
}

// allocated is how many bytes were allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

package server

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// startPercent lets the heap grow almost freely while starting: a start
	// allocates what it then keeps, so collecting in between finds little.
	startPercent = 400
	// runPercent trades collector time for memory, of which a host with many
	// control planes has little.
	runPercent = 50
	// idlePercent does so further, where there is hardly anything to collect.
	idlePercent = 20
	// idleRate is how many bytes a second a control plane allocates at most that
	// nobody uses, looked at each idleInterval.
	idleRate     = 1 << 20
	idleInterval = 30 * time.Second
)

// restCollector lets the garbage collector rest until wakeCollector. An
// operator who sets GOGC decides alone.
func restCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(startPercent)
	}
}

// wakeCollector gives back what the start has left behind.
func wakeCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(runPercent)
	}
	debug.FreeOSMemory()
}

// tendCollector has the heap of a control plane that nobody uses follow what it holds
// closely, until the context ends.
func tendCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(idleInterval)
	defer ticker.Stop()
	percent, before := runPercent, allocated()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := allocated()
		next := runPercent
		if now-before < idleRate*uint64(idleInterval/time.Second) {
			next = idlePercent
		}
		if next != percent {
			debug.SetGCPercent(next)
		}
		percent, before = next, now
	}
}

// allocated is how many bytes were allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

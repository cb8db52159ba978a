package server

import (
	"context"
	"os"
	"runtime/debug"

	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/footprint"
)

const (
	// startPercent lets the heap grow almost freely while starting: a start
	// allocates what it then keeps, so collecting in between finds little. Where
	// it may grow further, what is kept lies further apart, and fewer pages are free after.
	startPercent = 200
	// runPercent trades collector time for memory, of which a host with many
	// control planes has little.
	runPercent = 50
	// idleGarbage is how many bytes gather before a control plane that nobody uses collects
	// them: those of six minutes. A collection takes 0.2 s of a processor.
	idleGarbage = 28 << 20
	// idleRate is how many bytes a second a control plane allocates at most that
	// nobody uses.
	idleRate = 1 << 20
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

// tend keeps the memory of a control plane that nobody uses small, until the context ends.
func tend(ctx context.Context) {
	footprint.Tend(ctx, footprint.Settings{Busy: runPercent, Garbage: idleGarbage, Rate: idleRate, Report: func(err error) {
		klog.FromContext(ctx).V(1).Info("Cannot adapt the process to how much it is used", "reason", err.Error())
	}})
}

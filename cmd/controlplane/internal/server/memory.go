package server

import (
	"os"
	"runtime/debug"
)

const (
	// startPercent lets the heap grow almost freely while starting: a start
	// allocates what it then keeps, so collecting in between finds little.
	startPercent = 400
	// runPercent trades collector time, of which an idle control plane has
	// plenty, for memory, of which a host with many of them has not.
	runPercent = 50
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

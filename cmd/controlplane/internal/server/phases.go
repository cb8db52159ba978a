package server

import (
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// phases records when each part of a start was done, counted from the start of
// the process as far as this program can know it.
type phases struct {
	mu    sync.Mutex
	start time.Time
	done  []any
}

func newPhases() *phases { return &phases{start: time.Now()} }

// mark notes that the named phase is done now.
func (p *phases) mark(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, name, time.Since(p.start).Round(time.Millisecond).String())
}

// log writes all phases in one line, in the order in which they were done.
func (p *phases) log(logger klog.Logger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	logger.Info("Control plane started", p.done...)
}

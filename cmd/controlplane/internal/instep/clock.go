// Package instep has a clock whose timers go off together, and seldom while nobody waits.
//
// A timer that goes off while nothing else runs wakes a processor and a thread just for itself.
// That costs many times more than the timer's work. Timers that go off together share the cost.
package instep

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// hurryTime is how long looks stay frequent after somebody began to wait for one.
const hurryTime = time.Minute

// Clock is the real one, save that timers of half a step and more go off at the step that is
// nearest to their time. The first step is at begin.
//
// A timer of one step is a look: its owner looks for something that is due, and sets it again.
// Looks go off each calm steps until Hurry.
type Clock struct {
	clock.RealClock
	begin time.Time
	step  time.Duration
	calm  time.Duration
	looks *looks
}

// looks are the timers of one step that are in use.
type looks struct {
	mu      sync.Mutex
	hurried time.Time
	timers  map[clock.Timer]bool
}

// New is a clock with steps of the length given, and looks that far apart while it is calm.
func New(step, calm time.Duration) Clock {
	return Clock{begin: time.Now(), step: step, calm: calm, looks: &looks{timers: map[clock.Timer]bool{}}}
}

// Hurry lets the looks go off at each step for a while. It also brings those forward that wait.
func (c Clock) Hurry() {
	c.looks.mu.Lock()
	defer c.looks.mu.Unlock()
	now := time.Now()
	// Looks that were set meanwhile go off at each step already.
	waiting := now.After(c.looks.hurried)
	c.looks.hurried = now.Add(hurryTime)
	if !waiting {
		return
	}
	for timer := range c.looks.timers {
		timer.Reset(align(c.step, now.Sub(c.begin), c.step))
	}
}

// NewTimer is a timer in step.
func (c Clock) NewTimer(d time.Duration) clock.Timer {
	made := timer{Timer: c.RealClock.NewTimer(d), clock: c}
	made.Reset(d)
	return made
}

// isLook tells whether a timer of that length is a look: of a step, and what its owner adds so
// that not all go off together.
func (c Clock) isLook(d time.Duration) bool { return d >= c.step && d < c.step+c.step/2 }

// align is how long to wait after a moment, as the time since begin, for the step nearest to
// d later.
func align(step, moment, d time.Duration) time.Duration {
	if d < step/2 {
		return d
	}
	at := (moment + d).Round(step)
	if at <= moment {
		at += step
	}
	return at - moment
}

// timer stays in step when it is set again.
type timer struct {
	clock.Timer
	clock Clock
}

// Reset sets the timer again, in step.
func (t timer) Reset(d time.Duration) bool {
	now := time.Now()
	moment := now.Sub(t.clock.begin)
	looks := t.clock.looks
	looks.mu.Lock()
	defer looks.mu.Unlock()
	if !t.clock.isLook(d) {
		delete(looks.timers, t.Timer)
		return t.Timer.Reset(align(t.clock.step, moment, d))
	}
	looks.timers[t.Timer] = true
	if now.After(looks.hurried) {
		return t.Timer.Reset(align(t.clock.calm, moment, t.clock.calm))
	}
	return t.Timer.Reset(align(t.clock.step, moment, d))
}

// Stop stops the timer, which Hurry then leaves alone.
func (t timer) Stop() bool {
	t.clock.looks.mu.Lock()
	defer t.clock.looks.mu.Unlock()
	delete(t.clock.looks.timers, t.Timer)
	return t.Timer.Stop()
}

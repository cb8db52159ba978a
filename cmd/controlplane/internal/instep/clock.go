// Package instep has a clock whose timers go off together.
//
// A timer that goes off while nothing else runs wakes a processor and a thread just for itself.
// That costs many times more than the timer's work. Timers that go off together share the cost.
package instep

import (
	"time"

	"k8s.io/utils/clock"
)

// Clock is the real one, save that timers of half a step and more go off at the step that is
// nearest to their time. The first step is at begin.
type Clock struct {
	clock.RealClock
	begin time.Time
	step  time.Duration
}

// New is a clock with steps of the length given.
func New(step time.Duration) Clock { return Clock{begin: time.Now(), step: step} }

// NewTimer is a timer in step.
func (c Clock) NewTimer(d time.Duration) clock.Timer {
	return timer{Timer: c.RealClock.NewTimer(c.align(time.Since(c.begin), d)), clock: c}
}

// align is how long to wait after a moment, as the time since begin, for the step nearest to
// d later.
func (c Clock) align(moment, d time.Duration) time.Duration {
	if d < c.step/2 {
		return d
	}
	at := (moment + d).Round(c.step)
	if at <= moment {
		at += c.step
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
	return t.Timer.Reset(t.clock.align(time.Since(t.clock.begin), d))
}

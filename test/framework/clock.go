// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

// tick is how often a Clock follows the machine's.
const tick = 10 * time.Millisecond

// Clock goes as the machine's does, ahead of it by as much as a test has pushed it:
// what waits by this clock need not be waited for.
type Clock struct {
	*clocktesting.FakeClock

	mu    sync.Mutex
	ahead time.Duration
}

// NewClock is one that shows the time, and goes until the test ends.
func NewClock(t testing.TB) *Clock {
	c := &Clock{FakeClock: clocktesting.NewFakeClock(time.Now())}
	ticker := time.NewTicker(tick)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ticker.C:
				c.Push(0)
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		ticker.Stop()
		close(stop)
		<-stopped
	})
	return c
}

// Push moves the clock forward, and with it whatever waits by it.
func (c *Clock) Push(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
	c.SetTime(time.Now().Add(c.ahead))
}

// WallClock is the machine's clock, whose time of day jumps when a test says so.
// What waits for a while is not woken by that, as it is not on a machine.
type WallClock struct {
	clock.RealClock
	ahead atomic.Int64
}

// Jump sets the time of day forward, or back.
func (c *WallClock) Jump(by time.Duration) { c.ahead.Add(int64(by)) }

// Now is the time of day.
func (c *WallClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Since compares with the time of day.
func (c *WallClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

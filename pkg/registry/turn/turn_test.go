// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
)

// shared is a Holder of one process.
type shared struct {
	sync.Mutex
	holder string
	looks  atomic.Int32
}

func (s *shared) Swap(_ context.Context, change func(string) (string, error)) error {
	s.Lock()
	defer s.Unlock()
	s.looks.Add(1)
	next, err := change(s.holder)
	if err == nil {
		s.holder = next
	}
	return err
}

// TestOneAtATime has several replicas, each with several requests, take turns.
func TestOneAtATime(t *testing.T) {
	holder := &shared{}
	var inside, most atomic.Int32
	var all sync.WaitGroup
	for range 3 {
		replica := New(holder, clock.RealClock{})
		for range 10 {
			all.Go(func() {
				release, err := replica.Take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				most.Store(max(most.Load(), inside.Add(1)))
				inside.Add(-1)
				release()
			})
		}
	}
	all.Wait()
	if most.Load() != 1 || holder.holder != "" {
		t.Errorf("got %d at a time and the holder %q in the end, want 1 and nobody", most.Load(), holder.holder)
	}
}

func TestAbandoned(t *testing.T) {
	holder := &shared{}
	if _, err := New(holder, clock.RealClock{}).Take(t.Context()); err != nil { // and dies
		t.Fatal(err)
	}
	dead := holder.holder
	now := testingclock.NewFakePassiveClock(time.Now())
	taken := make(chan error)
	go func() {
		release, err := New(holder, now).Take(t.Context())
		if err == nil {
			defer release()
		}
		taken <- err
	}()
	for holder.looks.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	holder.Lock()
	if holder.holder != dead {
		t.Errorf("got the holder %q at once, want the dead one waited for", holder.holder)
	}
	holder.Unlock()
	now.SetTime(now.Now().Add(Abandoned))
	if err := <-taken; err != nil {
		t.Error(err)
	}
}

// TestWaitingEnds with the request, whether one waits for this replica or for another.
func TestWaitingEnds(t *testing.T) {
	holder := &shared{}
	here, there := New(holder, clock.RealClock{}), New(holder, clock.RealClock{})
	release, err := here.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, replica := range map[string]*Turn{"here": here, "there": there} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := replica.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want the deadline", name, err)
		}
		cancel()
	}
	// A request that is over gives back all the same.
	release()
	if release, err = there.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	testclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// stored is a virtual cluster in a datastore that several replicas share.
type stored struct {
	mu     sync.Mutex
	object tenancy.VirtualCluster
	gone   bool
	broken bool
	asked  int
	// writes are when each write was made.
	writes []time.Time
	clock  *testclock.FakeClock
}

func (s *stored) ChangeStatus(_ context.Context, name types.NamespacedName, change func(*tenancy.VirtualCluster) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.broken {
		return errors.New("the datastore is away")
	}
	if s.gone || name.Name != s.object.Name || name.Namespace != s.object.Namespace {
		return apierrors.NewNotFound(tenancy.Resource("virtualclusters"), name.Name)
	}
	changed := s.object.DeepCopy()
	if err := change(changed); err != nil {
		return err
	}
	s.object = *changed
	s.writes = append(s.writes, s.clock.Now())
	return nil
}

func (s *stored) set(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *stored) is(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return condition(), nil
	})
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Fatalf("not %s: last activity %v, written at %v, asked %d times", what, s.object.Status.LastActivityTime, s.writes, s.asked)
	}
}

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newStored() *stored {
	s := &stored{clock: testclock.NewFakeClock(begin)}
	s.object.Name, s.object.Namespace, s.object.UID = "demo", "team", "uid"
	return s
}

// replica is a Recorder that runs; end waits until it has ended.
func (s *stored) replica(t *testing.T) (r *Recorder, end func()) {
	r = NewRecorder(s, s.clock)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return r, end
}

// at moves the clock, once everybody waits for it who is going to.
func (s *stored) at(t *testing.T, after time.Duration) {
	t.Helper()
	s.clock.SetTime(begin.Add(after))
}

func (s *stored) last() time.Duration {
	if s.object.Status.LastActivityTime == nil {
		return -1
	}
	return s.object.Status.LastActivityTime.Sub(begin)
}

func TestFirstUseIsWrittenAtOnceAndTheLastInAMinute(t *testing.T) {
	s := newStored()
	r, _ := s.replica(t)
	r.Seen(&s.object)
	s.is(t, "written at once", func() bool { return s.last() == 0 })
	for second := 1; second <= 20; second++ {
		s.at(t, time.Duration(second)*time.Second)
		r.Seen(&s.object)
	}
	s.at(t, 59*time.Second)
	s.is(t, "written once", func() bool { return len(s.writes) == 1 })
	s.at(t, 60*time.Second)
	s.is(t, "written a minute later", func() bool { return s.last() == 20*time.Second && len(s.writes) == 2 })
	s.at(t, 121*time.Second)
	s.is(t, "forgotten", func() bool {
		r.mu.RLock()
		defer r.mu.RUnlock()
		return len(r.entries) == 0
	})
	if len(s.writes) != 2 {
		t.Errorf("wrote at %v, want nothing while nobody uses it", s.writes)
	}
}

func TestAnOpenStreamIsUse(t *testing.T) {
	s := newStored()
	r, _ := s.replica(t)
	leave := r.Stays(&s.object)
	s.is(t, "written at once", func() bool { return s.last() == 0 })
	for minute := 1; minute <= 3; minute++ {
		s.at(t, time.Duration(minute)*time.Minute)
		s.is(t, "written each minute", func() bool { return s.last() == time.Duration(minute)*time.Minute })
	}
	s.at(t, 3*time.Minute+30*time.Second)
	leave()
	leave() // A second time is none.
	s.at(t, 4*time.Minute)
	s.is(t, "its end written", func() bool { return s.last() == 3*time.Minute+30*time.Second })
	s.at(t, 6*time.Minute)
	s.is(t, "forgotten", func() bool {
		r.mu.RLock()
		defer r.mu.RUnlock()
		return len(r.entries) == 0
	})
}

// TestReplicasTogetherWriteOnceAMinute has three replicas see requests all the time, and
// steps through their work.
func TestReplicasTogetherWriteOnceAMinute(t *testing.T) {
	s := newStored()
	replicas, due := make([]*Recorder, 3), make([]time.Duration, 3)
	for i := range replicas {
		replicas[i] = NewRecorder(s, s.clock)
	}
	for second := range 1200 {
		s.at(t, time.Duration(second)*time.Second)
		for i, r := range replicas {
			// They pause now and then, each at another time.
			if (second+i*70)%300 > 160 {
				continue
			}
			if len(r.entries) == 0 {
				due[i] = s.clock.Now().Sub(begin)
			}
			r.Seen(&s.object)
			if s.clock.Now().Sub(begin)-s.last() > 2*v1.ActivityInterval {
				t.Fatalf("at %s the last activity is %s, want later", s.clock.Now().Sub(begin), s.last())
			}
		}
		for i, r := range replicas {
			if again := time.Duration(0); len(r.entries) > 0 && s.clock.Now().Sub(begin) >= due[i] {
				again = r.work(t.Context(), s.object.UID)
				due[i] = s.clock.Now().Sub(begin) + again
			}
		}
	}
	for i := 1; i < len(s.writes); i++ {
		if pause := s.writes[i].Sub(s.writes[i-1]); pause < v1.ActivityInterval {
			t.Errorf("wrote again after %s, want a minute: %v", pause, s.writes)
		}
	}
	if len(s.writes) < 10 {
		t.Errorf("wrote %d times in twenty minutes, want more", len(s.writes))
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	s := newStored()
	s.object.Status.LastActivityTime = &metav1.Time{Time: begin.Add(30 * time.Second)}
	r, _ := s.replica(t)
	for range 1000 {
		r.Seen(&s.object)
	}
	s.is(t, "looked at", func() bool { return s.asked > 0 })
	s.at(t, time.Second)
	s.is(t, "left alone", func() bool { return s.last() == 30*time.Second && len(s.writes) == 0 })
	if s.asked > 3 {
		t.Errorf("asked %d times for a time that is ahead, want once a minute", s.asked)
	}
}

func TestWhatCannotBeWrittenIsTriedAgain(t *testing.T) {
	s := newStored()
	s.broken = true
	r, _ := s.replica(t)
	r.Seen(&s.object)
	s.is(t, "tried", func() bool { return s.asked == 1 })
	s.set(func() { s.broken = false })
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		s.clock.Step(time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.last() == 0, nil
	})
	if err != nil {
		t.Errorf("the first use is lost: last activity %s", s.last())
	}
}

// TestTheEndIsWritten ends the process before the minute is over, and has a server that stops wait.
func TestTheEndIsWritten(t *testing.T) {
	for name, waits := range map[string]bool{"its context ends": false, "the server stops": true} {
		t.Run(name, func(t *testing.T) {
			s := newStored()
			s.object.Status.LastActivityTime = &metav1.Time{Time: begin.Add(-time.Hour)}
			r, end := s.replica(t)
			r.Seen(&s.object)
			s.is(t, "written at once", func() bool { return s.last() == 0 })
			s.at(t, 59*time.Second)
			r.Seen(&s.object)
			s.at(t, 60*time.Second)
			if waits {
				r.End()
			} else {
				end()
			}
			if s.last() != 59*time.Second {
				t.Errorf("got %s after the end, want 59s", s.last())
			}
		})
	}
}

func TestAnotherOfTheNameWasNotUsed(t *testing.T) {
	for name, change := range map[string]func(*stored){
		"deleted":                 func(s *stored) { s.gone = true },
		"deleted, and made again": func(s *stored) { s.object.UID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStored()
			r, _ := s.replica(t)
			used := s.object.DeepCopy()
			change(s)
			leave := r.Stays(used)
			s.is(t, "asked", func() bool { return s.asked > 0 })
			s.is(t, "forgotten", func() bool {
				r.mu.RLock()
				defer r.mu.RUnlock()
				return len(r.entries) == 0
			})
			leave()
			if s.last() != -1 {
				t.Errorf("got %s, want nothing", s.last())
			}
		})
	}
}

func BenchmarkSeen(b *testing.B) {
	s := newStored()
	r := NewRecorder(s, s.clock)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Seen(&s.object)
		}
	})
}

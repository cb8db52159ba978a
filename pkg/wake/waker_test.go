// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// stored is a virtual cluster in a datastore.
type stored struct {
	mu      sync.Mutex
	object  *tenancy.VirtualCluster
	watches map[*watch.FakeWatcher]bool
	// asked is how often a wake was written.
	asked  int
	broken bool
	// up says whether the API server inside answers, and probes how often it was asked.
	up     atomic.Bool
	probes atomic.Int64
}

func sleeping() *stored {
	now := metav1.Now()
	vc := &tenancy.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "team", UID: "uid"}}
	vc.Status.Phase = tenancy.Phase(v1.PhaseSleeping)
	vc.Status.CertificateAuthorityData = []byte("authority")
	vc.Status.Sleep = &tenancy.SleepStatus{Number: 3, Since: &now, Reason: v1.SleepReasonInactive}
	vc.Status.RestingFor = 3
	vc.Status.Conditions = conditions(map[string]bool{v1.ConditionReady: false, v1.ConditionAsleep: true, v1.ConditionControlPlaneReady: true, v1.ConditionSyncerReady: true})
	return &stored{object: vc, watches: map[*watch.FakeWatcher]bool{}}
}

func conditions(are map[string]bool) []metav1.Condition {
	var all []metav1.Condition
	for name, is := range are {
		status := metav1.ConditionFalse
		if is {
			status = metav1.ConditionTrue
		}
		all = append(all, metav1.Condition{Type: name, Status: status, Reason: "Test", Message: "as the test says"})
	}
	return all
}

func (s *stored) ChangeStatus(_ context.Context, _ types.NamespacedName, change func(*tenancy.VirtualCluster) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("the datastore is away")
	}
	changed := s.object.DeepCopy()
	if err := change(changed); err != nil {
		return err
	}
	s.asked++
	s.put(changed)
	return nil
}

func (s *stored) Watch(ctx context.Context, _ types.NamespacedName) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := watch.NewFakeWithChanSize(1000, false)
	w.Add(s.object)
	s.watches[w] = true
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, w)
		w.Stop()
	})
	return w, nil
}

// put stores the object, with the lock held.
func (s *stored) put(vc *tenancy.VirtualCluster) {
	s.object = vc
	for w := range s.watches {
		w.Modify(vc)
	}
}

// change changes the object as the controller, or the syncer, does.
func (s *stored) change(do func(*tenancy.VirtualCluster)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.object.DeepCopy()
	do(changed)
	s.put(changed)
}

func (s *stored) get() *tenancy.VirtualCluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.object
}

// woken is what the controller does.
func woken(vc *tenancy.VirtualCluster) {
	vc.Status.Sleep = &tenancy.SleepStatus{Number: vc.Status.Sleep.Number}
	vc.Status.Phase = tenancy.Phase(v1.PhaseWaking)
	vc.Status.Conditions = conditions(map[string]bool{v1.ConditionReady: false, v1.ConditionControlPlaneReady: true, v1.ConditionSyncerReady: true})
}

// synced is what the syncer does then.
func synced(vc *tenancy.VirtualCluster) { vc.Status.RestingFor = 0 }

func (s *stored) waker(change func(*Options)) *Waker {
	o := Options{Statuses: s, Clock: clock.RealClock{}, Probe: func(context.Context, *tenancy.VirtualCluster) error {
		s.probes.Add(1)
		if s.up.Load() {
			return nil
		}
		return errors.New("connection refused")
	}}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// waiter is a request that waits.
type waiter struct {
	vc  *tenancy.VirtualCluster
	err error
}

func request(ctx context.Context, w *Waker, vc *tenancy.VirtualCluster, need Need) <-chan waiter {
	done := make(chan waiter, 1)
	go func() {
		vc, err := w.Awake(ctx, vc, "alice", need)
		done <- waiter{vc, err}
	}()
	return done
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("not %s in time", what)
	}
}

func (s *stored) wakeAsked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked > 0
}

func none(t *testing.T, w *Waker) {
	t.Helper()
	until(t, "without anybody who waits", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.all == 0 && len(w.vigils) == 0
	})
}

// TestTogetherTheyWakeOnce has requests come at two replicas at once.
func TestTogetherTheyWakeOnce(t *testing.T) {
	s := sleeping()
	replicas := []*Waker{s.waker(nil), s.waker(nil)}
	var all []<-chan waiter
	for i := range 40 {
		all = append(all, request(t.Context(), replicas[i%2], s.get(), Answers))
	}
	until(t, "asked to wake", s.wakeAsked)
	if asked := s.get().Status.WakeRequest; asked.Sleep != 3 || asked.User != "alice" || asked.Time == nil {
		t.Errorf("got %+v, want the sleep, the user and the time", asked)
	}
	if s.probes.Load() > 0 {
		t.Error("the API server inside was asked while it sleeps")
	}
	s.change(woken)
	until(t, "asked inside", func() bool { return s.probes.Load() > 2 })
	s.up.Store(true)
	for _, one := range all {
		if got := <-one; got.err != nil || got.vc.Status.Phase != tenancy.Phase(v1.PhaseWaking) {
			t.Errorf("got %v, %v; want the virtual cluster as it is now", got.vc, got.err)
		}
	}
	if s.asked != 1 {
		t.Errorf("the wake was asked for %d times, want once", s.asked)
	}
	none(t, replicas[0])
	none(t, replicas[1])
}

func TestWhatIsNeeded(t *testing.T) {
	s := sleeping()
	w := s.waker(nil)
	s.change(woken)
	reads, writes, whole := request(t.Context(), w, s.get(), Answers), request(t.Context(), w, s.get(), Synced), request(t.Context(), w, s.get(), Ready)
	s.up.Store(true)
	if got := <-reads; got.err != nil {
		t.Errorf("a read: got %v", got.err)
	}
	select {
	case <-writes:
		t.Error("a write was let in while the syncer's report is of before the sleep")
	default:
	}
	s.change(synced)
	if got := <-writes; got.err != nil {
		t.Errorf("a write: got %v", got.err)
	}
	select {
	case <-whole:
		t.Error("what needs all of it was let in")
	default:
	}
	s.change(func(vc *tenancy.VirtualCluster) {
		vc.Status.Conditions = conditions(map[string]bool{v1.ConditionReady: true})
	})
	if got := <-whole; got.err != nil {
		t.Errorf("what needs all of it: got %v", got.err)
	}
	if s.asked != 0 {
		t.Errorf("the wake was asked for %d times of what is awake", s.asked)
	}
}

// TestItFallsAsleepAgain has it be put to sleep while a request waits for the first wake.
func TestItFallsAsleepAgain(t *testing.T) {
	s := sleeping()
	w := s.waker(nil)
	one := request(t.Context(), w, s.get(), Answers)
	until(t, "asked to wake", s.wakeAsked)
	s.change(woken)
	s.change(func(vc *tenancy.VirtualCluster) {
		now := metav1.Now()
		vc.Status.Sleep = &tenancy.SleepStatus{Number: 4, Since: &now, Reason: v1.SleepReasonScheduled}
	})
	s.up.Store(true)
	until(t, "asked again", func() bool { return s.get().Status.WakeRequest.Sleep == 4 })
	s.change(woken)
	if got := <-one; got.err != nil {
		t.Error(got.err)
	}
}

func TestWhoWaitsInVain(t *testing.T) {
	for name, test := range map[string]struct {
		need    Need
		options func(*Options)
		// then is what happens to the virtual cluster while the request waits.
		then func(*tenancy.VirtualCluster)
		stop bool
		code int32
		want string
	}{
		"it is paused": {then: func(vc *tenancy.VirtualCluster) { vc.Spec.Paused = true }, code: http.StatusServiceUnavailable, want: "as the test says"},
		"it is being deleted": {then: func(vc *tenancy.VirtualCluster) { now := metav1.Now(); vc.DeletionTimestamp = &now },
			code: http.StatusServiceUnavailable, want: "being deleted"},
		"another has its name": {then: func(vc *tenancy.VirtualCluster) { vc.UID = "another" }, code: http.StatusNotFound, want: "not found"},
		"it does not come up": {then: func(vc *tenancy.VirtualCluster) {
			woken(vc)
			vc.Status.Conditions = append(vc.Status.Conditions, conditions(map[string]bool{v1.ConditionStalled: true})...)
		}, code: http.StatusServiceUnavailable, want: "as the test says"},
		"nobody wakes it":             {options: func(o *Options) { o.MaxWait = 20 * time.Millisecond }, code: http.StatusServiceUnavailable, want: "asked to wake, and still sleeps"},
		"it takes too long":           {options: func(o *Options) { o.MaxWait = 20 * time.Millisecond }, then: woken, code: http.StatusServiceUnavailable, want: "does not answer yet"},
		"the replica is shut down":    {stop: true, code: http.StatusServiceUnavailable, want: "shutting down"},
		"the others fill the replica": {options: func(o *Options) { o.MaxAll = 3 }, code: http.StatusTooManyRequests, want: "too many"},
		"the others fill it":          {options: func(o *Options) { o.MaxEach = 3 }, code: http.StatusTooManyRequests, want: "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sleeping()
			w := s.waker(test.options)
			ctx, others := context.WithCancel(t.Context())
			if test.code == http.StatusTooManyRequests {
				for range 3 {
					request(ctx, w, s.get(), Answers)
				}
				until(t, "full", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.all == 3 })
			}
			one := request(t.Context(), w, s.get(), Answers)
			if test.then != nil {
				s.change(test.then)
			}
			if test.stop {
				w.Stop()
			}
			got := <-one
			status := new(apierrors.StatusError)
			if !errors.As(got.err, &status) || status.ErrStatus.Code != test.code || !strings.Contains(status.ErrStatus.Message, test.want) {
				t.Errorf("got %v, want %d with %q", got.err, test.code, test.want)
			}
			others()
			none(t, w)
		})
	}
}

func TestWhoGoesAwayWaitsNoMore(t *testing.T) {
	s := sleeping()
	w := s.waker(nil)
	ctx, cancel := context.WithCancel(t.Context())
	stays, goes := request(t.Context(), w, s.get(), Answers), request(ctx, w, s.get(), Answers)
	until(t, "asked to wake", s.wakeAsked)
	cancel()
	if got := <-goes; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", got.err)
	}
	s.change(woken)
	s.up.Store(true)
	if got := <-stays; got.err != nil {
		t.Error(got.err)
	}
	none(t, w)
}

func TestARequestEndsBeforeItsTime(t *testing.T) {
	s := sleeping()
	ctx, cancel := context.WithTimeout(t.Context(), answerWithin+50*time.Millisecond)
	defer cancel()
	_, err := s.waker(nil).Awake(ctx, s.get(), "alice", Answers)
	if !apierrors.IsServiceUnavailable(err) || ctx.Err() != nil {
		t.Errorf("got %v, want 503 before the request is over", err)
	}
}

// TestTheWakeIsAskedForAgain has the datastore fail, and the watch end.
func TestTheWakeIsAskedForAgain(t *testing.T) {
	s := sleeping()
	s.broken = true
	w := s.waker(nil)
	one := request(t.Context(), w, s.get(), Answers)
	until(t, "watched again", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for w := range s.watches {
			w.Stop()
			delete(s.watches, w)
			s.broken = false
			return true
		}
		return false
	})
	until(t, "asked to wake", s.wakeAsked)
	s.change(woken)
	s.up.Store(true)
	if got := <-one; got.err != nil {
		t.Error(got.err)
	}
}

func TestHolds(t *testing.T) {
	now := metav1.Now()
	for name, test := range map[string]struct {
		change func(*tenancy.VirtualCluster)
		want   bool
	}{
		"inactive":            {func(*tenancy.VirtualCluster) {}, true},
		"falling asleep":      {func(vc *tenancy.VirtualCluster) { vc.Status.Conditions = nil }, true},
		"paused":              {func(vc *tenancy.VirtualCluster) { vc.Spec.Paused, vc.Status.Sleep.Reason = true, v1.SleepReasonPaused }, false},
		"paused while asleep": {func(vc *tenancy.VirtualCluster) { vc.Spec.Paused = true }, false},
		"no longer paused":    {func(vc *tenancy.VirtualCluster) { vc.Status.Sleep.Reason = v1.SleepReasonPaused }, true},
		"waking":              {woken, true},
		"awake":               {func(vc *tenancy.VirtualCluster) { woken(vc); vc.Status.Phase = tenancy.PhaseReady }, false},
		"never slept": {func(vc *tenancy.VirtualCluster) {
			vc.Status = tenancy.VirtualClusterStatus{Phase: tenancy.PhasePending}
		}, false},
		"being deleted": {func(vc *tenancy.VirtualCluster) { vc.DeletionTimestamp = &now }, false},
	} {
		t.Run(name, func(t *testing.T) {
			vc := sleeping().object
			test.change(vc)
			if got := Holds(vc); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// TestNoLongerPausedNeedsNoRequest waits for the controller, which acts by the spec.
func TestNoLongerPausedNeedsNoRequest(t *testing.T) {
	s := sleeping()
	s.object.Status.Sleep.Reason = v1.SleepReasonPaused
	w := s.waker(nil)
	one := request(t.Context(), w, s.get(), Answers)
	s.up.Store(true)
	until(t, "watched", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.watches) == 1 })
	s.change(woken)
	if got := <-one; got.err != nil {
		t.Error(got.err)
	}
	if s.asked != 0 {
		t.Errorf("asked %d times", s.asked)
	}
}

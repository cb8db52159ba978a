// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	testingclock "k8s.io/utils/clock/testing"
)

// refusing is a host that takes pods as long as it has room, and what no rule is against.
type refusing struct {
	t       *testing.T
	clock   *testingclock.FakeClock
	breaker *Breaker
	pods    *Controller

	mu sync.Mutex
	// room is how many more pods fit; rules are what is refused, by name, with its message.
	room  int
	rules map[string]string
	// asks is what a pod asks for, size what it takes of the quota, and class its class.
	asks, class map[string]string
	size        map[string]int64
	since       map[string]time.Time
	asked, has  []string
}

func newRefusing(t *testing.T, room int) *refusing {
	r := &refusing{
		t: t, clock: testingclock.NewFakeClock(time.Now()), room: room,
		rules: map[string]string{}, asks: map[string]string{}, class: map[string]string{}, size: map[string]int64{}, since: map[string]time.Time{},
	}
	made := NewMetrics(metrics.NewKubeRegistry())
	r.breaker = NewBreaker(corev1.Resource("pods"), made, r.clock)
	r.pods = NewController(ControllerOptions{Name: "pods", Workers: 4, Reconciler: r, Metrics: made, Clock: r.clock})
	run(t, r.breaker.Controller())
	run(t, r.pods)
	return r
}

func (r *refusing) Since(key types.NamespacedName) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since[key.Name]
}

// Reconcile writes a pod unless it is on the host, or gone inside.
func (r *refusing) Reconcile(_ context.Context, key types.NamespacedName) (time.Duration, error) {
	r.mu.Lock()
	asks, inside := r.asks[key.Name]
	w := &write{name: key.Name, class: r.class[key.Name], digest: func() string { return asks },
		takes: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(max(r.size[key.Name], 1), resource.DecimalSI)}}
	there := slices.Contains(r.has, key.Name)
	r.mu.Unlock()
	if !inside || there {
		return 0, nil
	}
	if err := r.breaker.enter(w); err != nil {
		return 0, OnHost("create", err)
	}
	return 0, OnHost("create", r.breaker.exit(w, r.create(key.Name)))
}

func (r *refusing) create(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, name)
	if why, against := r.rules[name]; against {
		return apierrors.NewForbidden(corev1.Resource("pods"), name, errors.New(why))
	}
	if r.room < 1 {
		return apierrors.NewForbidden(corev1.Resource("pods"), name, fmt.Errorf("exceeded quota: small, requested: pods=1, used: pods=%d", len(r.has)))
	}
	r.room--
	r.has = append(r.has, name)
	return nil
}

func (r *refusing) make(namespace string, names ...string) {
	for _, name := range names {
		r.mu.Lock()
		r.asks[name] = "this"
		r.since[name] = r.clock.Now().Add(time.Duration(len(r.asks)) * time.Second)
		r.mu.Unlock()
		r.pods.Enqueue(types.NamespacedName{Namespace: namespace, Name: name})
	}
}

// forbid has the host refuse the pod of the name, with the message.
func (r *refusing) forbid(name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules[name] = why
}

func (r *refusing) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// awaitHeld waits until so many are held back, with a pass that waits for each.
func (r *refusing) awaitHeld(want int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprint(want, " are held back"), func(context.Context) bool {
		r.breaker.mu.Lock()
		defer r.breaker.mu.Unlock()
		parked := 0
		for _, each := range r.breaker.waiters {
			if len(each.wakers) > 0 && !each.admitted {
				parked++
			}
		}
		return parked == want && len(r.breaker.waiters) == want
	})
}

// awaitHas waits until exactly these are on the host, in this order after the first.
func (r *refusing) awaitHas(after int, want ...string) {
	r.t.Helper()
	var got []string
	eventually(r.t, fmt.Sprint(want, " are on the host"), func(context.Context) bool {
		r.clock.Step(firstProbe)
		r.mu.Lock()
		defer r.mu.Unlock()
		got = slices.Clone(r.has[min(after, len(r.has)):])
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		r.t.Errorf("on the host: got %v, want %v", got, want)
	}
}

// freed takes pods from the host.
func (r *refusing) free(places int) {
	r.mu.Lock()
	r.room += places
	r.mu.Unlock()
	for range places {
		r.breaker.Freed()
	}
}

// TestQuotaIsTriedByOne has many pods for one place, and more places come one by one.
func TestQuotaIsTriedByOne(t *testing.T) {
	r := newRefusing(t, 1)
	r.make("a", "first")
	r.awaitHas(0, "first")
	r.make("b", "b1")
	r.awaitHeld(1)
	r.make("a", "a1", "a2", "a3", "a4", "a5", "a6")
	r.make("b", "b2")
	r.awaitHeld(8)
	if got := r.count(); got != 2 {
		t.Errorf("the host was asked %d times, want by the one that it has and the first that was refused", got)
	}
	r.free(1)
	r.awaitHas(1, "a1")
	r.awaitHeld(7)
	// Namespaces take turns, and the oldest comes first.
	r.free(4)
	r.awaitHas(2, "b1", "a2", "b2", "a3")
	r.awaitHeld(3)
}

// TestTriesGrowSeldom lets hours pass over a quota that stays full.
func TestTriesGrowSeldom(t *testing.T) {
	r := newRefusing(t, 0)
	r.make("a", "one")
	r.awaitHeld(1)
	for i := range 40 {
		r.make("a", fmt.Sprint("more-", i))
	}
	r.awaitHeld(41)
	before := r.count()
	for range 120 { // ten minutes
		r.clock.Step(5 * time.Second)
		time.Sleep(2 * time.Millisecond)
	}
	r.awaitHeld(41)
	if asked := r.count() - before; asked < 5 || asked > int(10*time.Minute/lastQuotaProbe)+10 {
		t.Errorf("the host was asked %d times in ten minutes, want every %s in the end", asked, lastQuotaProbe)
	}
}

// TestRuleIsLiftedForAll has a rule against many, each of which is tried once.
func TestRuleIsLiftedForAll(t *testing.T) {
	r := newRefusing(t, 100)
	var all []string
	for i := range 20 {
		name := fmt.Sprintf("pod-%02d", i)
		all = append(all, name)
		r.forbid(name, "no "+name+" here")
	}
	r.make("a", all...)
	r.awaitHeld(20)
	if got := r.count(); got != 20 {
		t.Errorf("the host was asked %d times, want once for each", got)
	}
	if got := len(r.breaker.causes); got != 1 {
		t.Errorf("got %d causes, want the same for all", got)
	}
	// What is there is another thing to ask for, and is asked at once.
	r.mu.Lock()
	r.asks["pod-07"] = "that"
	r.mu.Unlock()
	key := types.NamespacedName{Namespace: "a", Name: "pod-07"}
	r.pods.Enqueue(key)
	eventually(t, "the change is tried", func(context.Context) bool { return r.count() == 21 })
	r.pods.Enqueue(key)
	err := r.pods.Now(t.Context(), key)
	if got := r.count(); got != 21 {
		t.Errorf("the host was asked %d times, want no more for the same", got)
	}
	if told := refusals(err); len(told) != 1 || !strings.Contains(told[0].message, "no pod-07 here") {
		t.Errorf("told: got %v, want the host's words for this one", told)
	}
	r.mu.Lock()
	clear(r.rules)
	r.mu.Unlock()
	eventually(t, "all are on the host", func(context.Context) bool {
		r.clock.Step(time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.has) == 20
	})
	r.awaitHeld(0)
}

// TestRuleIsLiftedForSome has a rule be lifted for the youngest of many, whose message is
// the same for all.
func TestRuleIsLiftedForSome(t *testing.T) {
	r := newRefusing(t, 100)
	for i := range 10 {
		name := fmt.Sprintf("pod-%02d", i)
		r.forbid(name, "not on the list")
		r.make("a", name)
	}
	r.awaitHeld(10)
	r.mu.Lock()
	delete(r.rules, "pod-09")
	r.mu.Unlock()
	begun := r.clock.Now()
	eventually(t, "the one that is allowed is on the host", func(context.Context) bool {
		r.clock.Step(time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.has) == 1
	})
	r.awaitHeld(9)
	if took := r.clock.Since(begun); took > 2*lastProbe {
		t.Errorf("it took %s, want each to have its turn within %s", took, 2*lastProbe)
	}
}

// TestOtherClassIsTried has a quota that bounds one class alone, and pods that take less.
func TestOtherClassIsTried(t *testing.T) {
	r := newRefusing(t, 0)
	r.size["large"], r.class["other"], r.size["other"] = 5, "best effort", 5
	r.make("a", "large")
	r.awaitHeld(1)
	r.mu.Lock()
	r.room = 2
	r.mu.Unlock()
	r.make("a", "small", "other")
	eventually(t, "what takes less, and what is of another class, are tried", func(context.Context) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.Contains(r.has, "small") && slices.Contains(r.has, "other")
	})
}

// TestSmallerIsTried has the oldest not fit, and a smaller one wait behind it.
func TestSmallerIsTried(t *testing.T) {
	r := newRefusing(t, 0)
	r.size["large"] = 5
	r.make("a", "large")
	r.awaitHeld(1)
	r.make("a", "small")
	r.awaitHeld(2)
	r.forbid("large", "exceeded quota: small, requested: pods=5")
	r.mu.Lock()
	r.room = 1
	r.mu.Unlock()
	r.awaitHas(0, "small")
	r.awaitHeld(1)
}

// TestTurnOfWhatIsGone deletes inside the pod that would be next.
func TestTurnOfWhatIsGone(t *testing.T) {
	r := newRefusing(t, 0)
	r.make("a", "one")
	r.awaitHeld(1)
	r.make("a", "two", "three")
	r.awaitHeld(3)
	r.mu.Lock()
	delete(r.asks, "one")
	delete(r.asks, "two")
	r.mu.Unlock()
	// One is seen to be gone, and of the other nobody knows until its turn.
	r.pods.Enqueue(types.NamespacedName{Namespace: "a", Name: "one"})
	r.awaitHeld(2)
	r.free(1)
	r.awaitHas(0, "three")
	r.awaitHeld(0)
}

// TestManyCausesAreBounded makes up a cause for each of many pods.
func TestManyCausesAreBounded(t *testing.T) {
	r := newRefusing(t, 0)
	for i := range 200 {
		name := fmt.Sprint("pod-", i)
		r.forbid(name, fmt.Sprint("no container-", i))
		r.make("a", name)
	}
	r.awaitHeld(200)
	before := r.count()
	const seconds = 60
	for range seconds * 4 {
		r.clock.Step(time.Second / 4)
		time.Sleep(time.Millisecond)
	}
	if asked := r.count() - before; asked > seconds*probesPerSecond+probesAtOnce || asked < 10 {
		t.Errorf("the host was asked %d times in %d seconds, want %d a second at most", asked, seconds, probesPerSecond)
	}
}

// TestFailingHostIsTriedByOne has a webhook of the host be down, and come back.
func TestFailingHostIsTriedByOne(t *testing.T) {
	breaker := NewBreaker(corev1.Resource("pods"), NewMetrics(metrics.NewKubeRegistry()), testingclock.NewFakeClock(time.Now()))
	down := apierrors.NewInternalError(errors.New("failed calling webhook"))
	for _, name := range []string{"one", "two"} {
		w := &write{name: name, digest: func() string { return "" }}
		if err := breaker.enter(w); err != nil {
			t.Fatal(err)
		}
		if err := breaker.exit(w, down); !apierrors.IsInternalError(err) {
			t.Errorf("got %v, want the host's answer", err)
		}
		held := breaker.enter(w)
		if told := failures(OnHost("create", held)); len(told) != 1 {
			t.Errorf("a write that failed: got %v, want it to be held back", held)
		}
	}
	if len(breaker.causes) != 1 {
		t.Errorf("got %d causes, want one", len(breaker.causes))
	}
	w := &write{name: "three", digest: func() string { return "" }}
	_ = breaker.enter(w)
	if err := breaker.exit(w, apierrors.NewConflict(corev1.Resource("pods"), "three", errors.New("changed"))); !apierrors.IsConflict(err) || len(breaker.waiters) != 2 {
		t.Errorf("a conflict: got %v, want it not to be held back", err)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
)

const (
	// A cause is tried again after firstProbe, then at twice the interval each time.
	// A quota is one that nobody announces a change of, and is tried again soonest.
	firstProbe      = 250 * time.Millisecond
	lastProbe       = 2 * time.Minute
	lastQuotaProbe  = 30 * time.Second
	lastFailedProbe = 15 * time.Second
	// manyProbe is how soon one of many objects of a rule is tried after another.
	manyProbe = 10 * time.Second
	// probesPerSecond bounds the tries of all causes of a kind together, so that
	// somebody who makes up many causes gains nothing.
	probesPerSecond = 1
	probesAtOnce    = 10
)

// Breaker is the circuit breaker before the writes of one kind to the host. It holds back what
// the host refused, by cause. One object of a cause is tried again at a growing
// interval. When it is taken, the others follow: all of them, or one by one where the
// cause is a quota. Their order is that of a fairQueue: virtual namespaces take turns, and the oldest goes first.
//
// An object that asks for more of a quota than one that is held waits behind it
// without being tried. Anything else is tried when it comes, and when what it asks
// for changes.
type Breaker struct {
	resource schema.GroupResource
	clock    clock.WithTicker
	metrics  *Metrics
	limiter  flowcontrol.PassiveRateLimiter
	// probes has a key for each cause, and a pass over it is a try.
	probes *Controller

	mu      sync.Mutex
	causes  map[string]*cause
	waiters map[string]*waiter
}

// heldError is an answer of the host that has the write wait at a breaker.
type heldError struct {
	error
	breaker *Breaker
	name    string
	// again says that the host was not asked: it answered so to another write.
	again bool
}

func (e *heldError) Unwrap() error { return e.error }

// NewBreaker returns one before the writes of the kind.
func NewBreaker(resource schema.GroupResource, metrics *Metrics, clock clock.WithTicker) *Breaker {
	t := &Breaker{
		resource: resource, clock: clock, metrics: metrics,
		limiter: flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(probesPerSecond, probesAtOnce, clock),
		causes:  map[string]*cause{}, waiters: map[string]*waiter{},
	}
	t.probes = NewController(ControllerOptions{Name: resource.Resource + "-held", Workers: 1, Reconciler: t, Metrics: metrics, Clock: clock})
	return t
}

// Controller tries again what is held back.
func (t *Breaker) Controller() *Controller { return t.probes }

// write is what is asked of the host.
type write struct {
	// name is that of the host object, with the part of it that is written.
	name string
	// takes is what the write takes of quotas beyond what the object has.
	takes corev1.ResourceList
	// class is what a quota may be restricted to.
	class string
	// digest returns one of what is asked for.
	digest func() string
	// probe is the cause that the write is a try of.
	probe *cause
}

// enter lets the write through, or holds it back.
func (t *Breaker) enter(w *write) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	held, known := t.waiters[w.name]
	if known && held.admitted {
		held.admitted, w.probe = false, held.cause
		return nil
	}
	if known && slices.Contains(held.asked, w.digest()) {
		return t.hold(held)
	}
	if ahead := t.behind(w); ahead != nil {
		return t.hold(t.wait(w, ahead))
	}
	return nil
}

// behind finds a quota at which something waits that takes no more than the write.
func (t *Breaker) behind(w *write) *cause {
	asked := &waiter{takes: w.takes, class: w.class}
	for _, cause := range t.causes {
		if cause.sort != full {
			continue
		}
		for _, other := range cause.waiters {
			// Nobody would wake one that no pass waits for.
			if other.name != w.name && len(other.wakers) > 0 && asked.takesMore(other) {
				return cause
			}
		}
	}
	return nil
}

func (t *Breaker) hold(held *waiter) error {
	return &heldError{sameAnswer(held.cause.err, held.cause.answered, held.name), t, held.name, true}
}

// exit takes note of the host's answer to a write that was let through, and returns it.
func (t *Breaker) exit(w *write, err error) error {
	name, sort := causeOf(err, w.name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if sort == other {
		if err != nil {
			return err
		}
		if held, known := t.waiters[w.name]; known {
			held.cause.turn = held.namespace
			t.remove(held)
			// A pass that came to wait since this one had its turn would not hear of it otherwise.
			held.wake()
		}
		t.taken(w)
		return nil
	}
	if name != ownQuota {
		t.metrics.refused(t.resource.Resource, sort.reason())
	}
	why, found := t.causes[name]
	if !found {
		why = &cause{name: name, sort: sort, interval: firstProbe, waiters: map[string]*waiter{}}
		t.causes[name] = why
		t.after(why, why.interval)
	} else if w.probe == why {
		t.again(why, w)
	}
	why.err, why.answered = err, w.name
	for _, each := range why.waiters {
		each.admitted = false
	}
	held := t.wait(w, why)
	if w.probe != nil && w.probe != why {
		// Of that cause nothing is known now: the next one tries.
		t.after(w.probe, 0)
	}
	return &heldError{err, t, held.name, false}
}

// again has the cause be tried later, after the host has refused a try.
func (t *Breaker) again(c *cause, w *write) {
	if c.sort == full && len(w.takes) > 0 {
		c.tried = append(c.tried, &waiter{takes: w.takes, class: w.class})
		if c.next() != nil {
			// There may be room for something smaller.
			t.after(c, firstProbe)
			return
		}
		c.tried = nil
	}
	if held, known := c.waiters[w.name]; known {
		held.tries++
	}
	// Where many wait, the rule may be lifted for some: each has its turn.
	last := max(c.sort.last()/time.Duration(max(len(c.waiters), 1)), min(c.sort.last(), manyProbe))
	if c.sort == full {
		last = c.sort.last()
	}
	c.interval = min(2*c.interval, last)
	t.after(c, c.interval)
}

// taken has others follow a try that the host took.
func (t *Breaker) taken(w *write) {
	if w.probe == nil || t.causes[w.probe.name] != w.probe {
		return
	}
	w.probe.interval, w.probe.tried = firstProbe, nil
	for {
		next := w.probe.next()
		if next == nil {
			break
		}
		t.admit(next)
		if w.probe.sort == full {
			break
		}
	}
	t.after(w.probe, firstProbe)
}

func (t *Breaker) admit(w *waiter) {
	w.admitted = true
	w.wake()
}

// after has the cause be tried after a while.
func (t *Breaker) after(c *cause, wait time.Duration) {
	c.due = t.clock.Now().Add(wait)
	t.probes.queue.AddAfter(types.NamespacedName{Name: c.name}, wait)
}

// Reconcile tries one object of the cause again.
func (t *Breaker) Reconcile(_ context.Context, key types.NamespacedName) (time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, found := t.causes[key.Name]
	if !found {
		return 0, nil
	}
	if wait := c.due.Sub(t.clock.Now()); wait > 0 {
		return wait, nil
	}
	if !t.limiter.TryAccept() {
		return time.Second / probesPerSecond, nil
	}
	if next := c.next(); next != nil {
		t.admit(next)
	}
	// If nothing comes of it, another one has its turn.
	c.due = t.clock.Now().Add(c.interval)
	return c.interval, nil
}

// Freed has what waits for a quota be tried soon, since something of it was given back.
func (t *Breaker) Freed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.causes {
		if c.sort != full {
			continue
		}
		// The host counts again a moment after the object has gone.
		c.interval, c.tried = firstProbe, nil
		if t.clock.Now().Add(firstProbe).Before(c.due) {
			t.after(c, firstProbe)
		}
	}
}

// Widened has what waits for the quota of the virtual cluster be tried, since that is another.
func (t *Breaker) Widened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, waits := t.causes[ownQuota]; waits {
		c.interval, c.tried = firstProbe, nil
		t.after(c, 0)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/quota"
)

// cause is why objects of the kind are refused.
type cause struct {
	name string
	sort sort
	// err is the host's last answer, to an object of the name answered.
	err      error
	answered string
	interval time.Duration
	// due is when the next try may be.
	due     time.Time
	waiters map[string]*waiter
	// turn is the virtual namespace that had the last one taken.
	turn string
	// tried are those that a quota had no room for since something was taken or freed.
	tried []*waiter
}

// waiter is one write that is held back.
type waiter struct {
	name  string
	cause *cause
	// asked are digests of what was refused: a kind that can do without something asks
	// for two things in turn. Takes is what of quotas it took, in the class.
	asked []string
	takes corev1.ResourceList
	class string
	// wakers are the passes that come to the write, namespace and since those of
	// their object inside.
	wakers    map[waker]bool
	namespace string
	since     time.Time
	// admitted says that it may be tried once, and tries how often it was.
	admitted bool
	tries    int
}

// waker is a pass over an object.
type waker struct {
	controller *Controller
	key        types.NamespacedName
}

// wake has the passes run that come to the write.
func (w *waiter) wake() {
	for waker := range w.wakers {
		waker.controller.Enqueue(waker.key)
	}
}

// next is the one whose turn it is, of those that a pass would come to.
func (c *cause) next() *waiter {
	fewest := -1
	for _, each := range c.waiters {
		if c.sort != full && c.mayBeNext(each) && (fewest < 0 || each.tries < fewest) {
			fewest = each.tries
		}
	}
	oldest := map[string]*waiter{}
	for _, each := range c.waiters {
		if !c.mayBeNext(each) || fewest >= 0 && each.tries > fewest {
			continue
		}
		if first := oldest[each.namespace]; first == nil || each.since.Before(first.since) || each.since.Equal(first.since) && each.name < first.name {
			oldest[each.namespace] = each
		}
	}
	if len(oldest) == 0 {
		return nil
	}
	turns := slices.Sorted(maps.Keys(oldest))
	at, had := slices.BinarySearch(turns, c.turn)
	if had {
		at++
	}
	return oldest[turns[at%len(turns)]]
}

func (c *cause) mayBeNext(w *waiter) bool {
	return !w.admitted && len(w.wakers) > 0 && !slices.ContainsFunc(c.tried, w.takesMore)
}

// takesMore tells whether there is no room for the waiter where there is none for the other.
func (w *waiter) takesMore(other *waiter) bool {
	return w.class == other.class && len(other.takes) > 0 && quota.Covers(w.takes, other.takes)
}

// park has the pass be run when the write may be tried again.
func (t *Breaker) park(name string, by waker, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held, known := t.waiters[name]
	if !known {
		// It was taken, or lost its cause, meanwhile.
		by.controller.Enqueue(by.key)
		return
	}
	if len(held.wakers) == 0 {
		held.namespace, held.since = by.key.Namespace, since
	}
	held.wakers[by] = true
}

// leave takes back park: the pass comes to the write no more.
func (t *Breaker) leave(name string, by waker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held, known := t.waiters[name]
	if !known || !held.wakers[by] {
		return
	}
	delete(held.wakers, by)
	if len(held.wakers) > 0 {
		return
	}
	t.remove(held)
	if held.admitted && t.causes[held.cause.name] == held.cause {
		// It had its turn and made nothing of it.
		t.after(held.cause, 0)
	}
}

// wait has the write wait for the cause.
func (t *Breaker) wait(w *write, to *cause) *waiter {
	held, known := t.waiters[w.name]
	if !known {
		held = &waiter{name: w.name, wakers: map[waker]bool{}}
	} else if held.cause != to {
		t.remove(held)
	}
	if before := len(held.asked); before > 0 {
		held.asked = held.asked[before-1:]
	}
	held.asked = append(held.asked, w.digest())
	held.takes, held.class, held.cause, held.admitted = w.takes, w.class, to, false
	to.waiters[held.name] = held
	t.waiters[held.name] = held
	t.metrics.holds(t.resource.Resource, len(t.waiters))
	return held
}

func (t *Breaker) remove(held *waiter) {
	delete(t.waiters, held.name)
	delete(held.cause.waiters, held.name)
	if len(held.cause.waiters) == 0 {
		delete(t.causes, held.cause.name)
	}
	t.metrics.holds(t.resource.Resource, len(t.waiters))
}

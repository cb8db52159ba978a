// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Book is the part of a Ledger that is about one kind.
type Book struct {
	ledger  *Ledger
	kind    schema.GroupResource
	entries map[string]*entry
	// read says that all objects of the kind on the host are known.
	read func() bool
}

// entry is what one object is charged.
type entry struct {
	uid     types.UID
	version string
	// has is what the host's object takes, empty before there is one.
	has corev1.ResourceList
	// asked is what is being asked for, by so many writes.
	asked  corev1.ResourceList
	writes int
	// gone is one that was deleted before it was known to be written.
	gone types.UID
}

// Book returns the Book of the kind. Read says that the syncer has seen all its objects on
// the host.
func (l *Ledger) Book(kind schema.GroupResource, read func() bool) *Book {
	return &Book{ledger: l, kind: kind, entries: map[string]*entry{}, read: read}
}

// Saw takes down an object as it is on the host.
func (b *Book) Saw(object metav1.Object) {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	b.saw(object)
}

func (b *Book) saw(object metav1.Object) {
	has := Usage(b.kind, object, b.ledger.clock.Now())
	b.change(object.GetName(), func(e *entry) {
		if e.uid == object.GetUID() && isOlder(object.GetResourceVersion(), e.version) || e.gone == object.GetUID() && e.gone != "" {
			return
		}
		e.uid, e.version, e.has = object.GetUID(), object.GetResourceVersion(), has
	})
}

// isOlder tells whether a version comes before another. One that is unknown does not.
func isOlder(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}

// Gone records that the host no longer has an object.
func (b *Book) Gone(object metav1.Object) {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	b.change(object.GetName(), func(e *entry) {
		if e.uid == object.GetUID() {
			e.has = nil
		}
		e.gone = object.GetUID()
	})
}

// change has the entry of a name changed, and the sum with it.
func (b *Book) change(name string, do func(*entry)) {
	e, known := b.entries[name]
	if !known {
		e = &entry{}
	}
	before := e.charge()
	do(e)
	after := e.charge()
	add(b.ledger.used, More(after, before))
	subtract(b.ledger.used, More(before, after))
	if e.has == nil && e.writes == 0 {
		delete(b.entries, name)
	} else {
		b.entries[name] = e
	}
	b.ledger.note()
}

// charge is what the object takes, or will when what is asked for is there.
func (e *entry) charge() corev1.ResourceList {
	if e.writes == 0 {
		return e.has
	}
	charge := e.has.DeepCopy()
	if charge == nil {
		charge = corev1.ResourceList{}
	}
	add(charge, More(e.asked, e.has))
	return charge
}

// Charge charges what the wanted object takes, before it is written, or says why it
// cannot. Settle has to be called with what the host made of it, or nil where it
// refused.
func (b *Book) Charge(wanted metav1.Object) (settle func(written metav1.Object), err error) {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	if err := b.check(wanted); err != nil {
		return nil, err
	}
	name := wanted.GetName()
	takes := b.takes(wanted)
	b.change(name, func(e *entry) {
		asked := e.asked.DeepCopy()
		if asked == nil {
			asked = corev1.ResourceList{}
		}
		add(asked, More(takes, asked))
		e.asked = asked
		e.writes++
	})
	return func(written metav1.Object) {
		b.ledger.mu.Lock()
		defer b.ledger.mu.Unlock()
		if written != nil {
			b.saw(written)
		}
		b.change(name, func(e *entry) {
			if e.writes--; e.writes == 0 {
				e.asked = nil
			}
		})
	}, nil
}

// takes is what the host will make of the wanted object.
func (b *Book) takes(wanted metav1.Object) corev1.ResourceList {
	if pod, ok := wanted.(*corev1.Pod); ok {
		wanted = withDefaults(pod, b.ledger.bounds.Limits)
	}
	return Usage(b.kind, wanted, b.ledger.clock.Now())
}

// Check says why the wanted object could not be charged; nil if it could.
func (b *Book) Check(wanted metav1.Object) error {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	return b.check(wanted)
}

func (b *Book) check(wanted metav1.Object) error {
	l := b.ledger
	if !l.known || !b.read() {
		return ErrUnknown
	}
	if len(l.bounds.Hard) == 0 {
		return nil
	}
	var before corev1.ResourceList
	if e, known := b.entries[wanted.GetName()]; known {
		before = e.charge()
	}
	more := More(b.takes(wanted), before)
	var short []corev1.ResourceName
	for name, limit := range l.bounds.Hard {
		asked, takes := more[name]
		if !takes {
			continue
		}
		would := l.used[name].DeepCopy()
		if would.Add(asked); would.Cmp(limit) > 0 {
			short = append(short, name)
		}
	}
	if len(short) > 0 {
		slices.Sort(short)
		return &ExceededError{l.exceeded(short, more)}
	}
	if pod, ok := wanted.(*corev1.Pod); ok && before == nil {
		if unstated := unstated(withDefaults(pod, l.bounds.Limits), l.bounds.Hard); len(unstated) > 0 {
			return &UnstatedError{fmt.Sprintf("failed quota of the virtual cluster: containers must specify %s, which spec.isolation.quota.hard of the VirtualCluster %s bounds",
				strings.Join(unstated, "; "), l.owner)}
		}
	}
	return nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// ReasonWaiting is the reason of what has to happen before an object is carried.
const ReasonWaiting = "Waiting"

// Look is one object on both sides as a pass over it would find them, and what the
// pass would ask for. The translation itself makes Asked and Next.
type Look struct {
	Resource schema.GroupVersionResource
	// FromHost says that the host drives the kind: Asked and Next are of the object inside.
	FromHost bool
	Virtual  Object
	// Host is the object on the host; nil for none, or none that may be read.
	Host Object
	// HostKey is where it lies, or would.
	HostKey types.NamespacedName
	// Asked is the object as it would be made now; nil where it would not be, which Unasked
	// explains where there is a host object all the same.
	Asked   Object
	Unasked string
	// Next is what the next pass makes of Host, or for FromHost of Virtual; nil for no object.
	Next Object
	// Answered are fields of Next of which the host's admission made something else, which stays.
	Answered []string
	// Unwanted says why the host must have no object; empty where it must have one.
	Unwanted string
	// Told are what keeps the object, or a change of it, from the host.
	Told []Told
	// Readable puts the tenant's words into what the host says about it.
	Readable func(message string) string
}

// Told is a reason, in the tenant's words, why an object does not reach the host.
type Told struct {
	Reason, Message string
	// Fields are those of the object inside that are refused.
	Fields []RefusedField
}

// RefusedField is a field that keeps its object from the host.
type RefusedField struct{ Path, Why string }

// Looker looks at objects of one kind, and writes nothing.
type Looker interface {
	Look(ctx context.Context, key types.NamespacedName) (*Look, error)
}

// LookedAt is a kind that can be looked at. Its Name is unique among them; that of its
// resource need not be, since a kind by a rule may have it from another group.
type LookedAt struct {
	Name       string
	Resource   schema.GroupResource
	Namespaced bool
}

// AddLooker has the engine look at objects of the kind. Of two for one kind, the one that was added
// first looks at what the other does not know.
func (e *Engine) AddLooker(kind LookedAt, looker Looker) {
	if e.lookers == nil {
		e.lookers = map[string]lookerOf{}
	}
	if before, known := e.lookers[kind.Name]; known {
		looker = eitherLooker{looker, before.looker}
	}
	e.lookers[kind.Name] = lookerOf{kind, looker}
}

// eitherLooker looks at objects that one of two knows.
type eitherLooker struct{ first, then Looker }

// Look is that of the first that knows the object.
func (e eitherLooker) Look(ctx context.Context, key types.NamespacedName) (*Look, error) {
	look, err := e.first.Look(ctx, key)
	if apierrors.IsNotFound(err) {
		return e.then.Look(ctx, key)
	}
	return look, err
}

type lookerOf struct {
	kind   LookedAt
	looker Looker
}

// Kinds are those that the engine can look at, by name.
func (e *Engine) Kinds() []LookedAt {
	var kinds []LookedAt
	for _, name := range slices.Sorted(maps.Keys(e.lookers)) {
		kinds = append(kinds, e.lookers[name].kind)
	}
	return kinds
}

// Look looks at one object of a kind. What does not exist, and what is not known before the
// engine runs, is an error of the API.
func (e *Engine) Look(ctx context.Context, name string, key types.NamespacedName) (*Look, error) {
	found, known := e.lookers[name]
	if !known {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: name}, key.Name)
	}
	if !e.running.Load() {
		return nil, apierrors.NewServiceUnavailable("the syncer has not begun to sync yet")
	}
	return found.looker.Look(ctx, key)
}

// What follows is optional, as in kind.go.

// Decliner is a Kind that says why an object is not wanted on the host.
type Decliner[T Object] interface {
	Declines(virtual T) string
}

// Beginner is a Kind whose host objects lose something when they begin.
type Beginner[T Object] interface {
	// Begun takes it out of what is asked for, where the host object has begun.
	Begun(host, asked T)
}

// Concealer is a Kind whose host objects may have parts that are nobody's inside.
type Concealer[T Object] interface {
	// Conceal takes their names out of what the host says.
	Conceal(virtual, host T, message string) string
}

// Look says what both sides have, and what would be asked of the host.
func (t *Twin[T]) Look(ctx context.Context, key types.NamespacedName) (*Look, error) {
	virtual, inside := t.virtual.Get(key.Namespace, key.Name)
	if !inside {
		return nil, apierrors.NewNotFound(t.resource.GroupResource(), key.Name)
	}
	if t.virtual.partial {
		var err error
		if virtual, err = t.virtual.Writer(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{}); err != nil {
			return nil, err
		}
	}
	at := types.NamespacedName{Namespace: t.host.Namespace(), Name: t.translator.HostName(key.Namespace, key.Name)}
	look := &Look{Resource: t.resource, Virtual: virtual, HostKey: at}
	host, hosted := t.host.Get(at.Namespace, at.Name)
	hosted = hosted && t.translator.IsOurs(host)
	if hosted && t.isOfAnother(virtual, host) {
		hosted = false
		look.Told = append(look.Told, Told{Reason: ReasonDataKept, Message: "the object on the host belongs to an earlier object of this name"})
	}
	if hosted {
		look.Host = host
	}
	look.Readable = t.readable(virtual, host, hosted)
	wanted, err := t.kind.Wanted(ctx, virtual)
	if err != nil {
		return nil, err
	}
	if !wanted {
		look.Unwanted = "it stays inside"
		if decliner, ok := t.kind.(Decliner[T]); ok {
			look.Unwanted = decliner.Declines(virtual)
		}
		return look, nil
	}
	return look, t.ask(ctx, look, virtual, host, hosted)
}

// ask fills in what would be asked of the host, and what the host says to that.
func (t *Twin[T]) ask(ctx context.Context, look *Look, virtual, host T, hosted bool) error {
	asked, err := t.asked(ctx, virtual, host, hosted)
	if err == nil {
		look.Asked = asked
	}
	if hosted {
		// What would keep it from being created does not concern one that is there.
		if err != nil {
			look.Unasked = err.Error()
		}
		var next T
		if next, err = filled(host, func(wanted T) error { return t.kind.ToHost(ctx, virtual, wanted) }); err == nil {
			look.Next = next
			answered, wrong := answersOf(host).keep(host, next.DeepCopyObject().(T))
			if wrong != nil {
				return wrong
			}
			look.Answered = slices.Sorted(maps.Keys(answered))
		}
	}
	told := append(refusals(err), t.held(look.HostKey.Name)...)
	for _, each := range told {
		if each.byHost {
			each.message = look.Readable(each.message)
		}
		look.Told = append(look.Told, Told{each.reason, each.message, each.fields})
	}
	var again againError
	switch {
	case errors.As(err, &again):
		look.Told = append(look.Told, Told{Reason: ReasonWaiting, Message: again.Error()})
	case err != nil && len(told) == 0:
		return fmt.Errorf("%s: %w", t.resource.Resource, err)
	}
	return nil
}

// asked is the host object as it would be made now, and brought up to date.
func (t *Twin[T]) asked(ctx context.Context, virtual, host T, hosted bool) (T, error) {
	asked := t.host.New()
	if err := t.kind.ToHost(ctx, virtual, asked); err != nil || !hosted {
		return asked, err
	}
	asked.SetUID(host.GetUID())
	err := t.kind.ToHost(ctx, virtual, asked)
	if beginner, ok := t.kind.(Beginner[T]); ok {
		beginner.Begun(host, asked)
	}
	return asked, err
}

// held are what the host has said to the writes of a name that wait at the breaker.
func (t *Twin[T]) held(name string) []refusal {
	if t.host.breaker == nil {
		return nil
	}
	var told []refusal
	for _, err := range t.host.breaker.answers(name) {
		answer := OnHost("", err)
		for _, each := range append(refusals(answer), failures(answer)...) {
			if !slices.ContainsFunc(told, func(known refusal) bool { return reflect.DeepEqual(known, each) }) {
				told = append(told, each)
			}
		}
	}
	return told
}

// answers are the host's last to the writes of a host object that are held back.
func (t *Breaker) answers(name string) []error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var answers []error
	for _, each := range slices.Sorted(maps.Keys(t.waiters)) {
		if objectName(each) == name {
			cause := t.waiters[each].cause
			answers = append(answers, sameAnswer(cause.err, cause.answered, each))
		}
	}
	return answers
}

// readable puts the tenant's names into what the host says, and takes its own out.
func (t *Twin[T]) readable(virtual, host T, hosted bool) func(string) string {
	names := t.readableNames(virtual)
	return func(message string) string {
		if concealer, ok := t.kind.(Concealer[T]); ok && hosted {
			message = concealer.Conceal(virtual, host, message)
		}
		return names.Replace(message)
	}
}

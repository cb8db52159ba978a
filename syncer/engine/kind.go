// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import "context"

// Kind is what is particular to the objects of one kind that have a twin on the host.
type Kind[T Object] interface {
	// Wanted says whether the virtual object must have a twin now. The engine deletes a twin
	// that is no longer wanted.
	Wanted(ctx context.Context, virtual T) (bool, error)
	// ToHost makes host what it should be, metadata included. It fills in a host object without a
	// UID completely: the engine is about to create that. One with a UID is a copy of what the
	// host has, and ToHost changes only what may change. It sends nothing to the host.
	ToHost(ctx context.Context, virtual, host T) error
}

// What follows is optional: a Kind that has the method gets the behaviour.

// FromHost is a Kind of which something flows back, such as the status.
type FromHost[T Object] interface {
	// FromHost brings the virtual object up to date with the host's. It is called
	// in every pass, whatever became of the changes in the other direction; carried
	// says whether the host has all that the virtual object asks for.
	FromHost(ctx context.Context, virtual, host T, carried bool) error
}

// Referrer is a Kind whose objects name others of their namespace, whose names on
// the host may come up in what the host says.
type Referrer[T Object] interface {
	// References are those names.
	References(virtual T) []string
}

// Remover is a Kind whose twin is deleted in a way of its own when the virtual
// object is gone.
type Remover[T Object] interface {
	// GracePeriod is how many seconds the host object has to end; nil for as many as it asks for.
	GracePeriod(host T) *int64
}

// Preparer is a Kind whose host objects need others, which are made once the host has
// taken them.
type Preparer[T Object] interface {
	// Prepare makes what the host object needs before it may begin, and returns what is
	// then done to it; nil for one that has begun.
	Prepare(ctx context.Context, virtual, host T) (begin func(wanted T), err error)
}

// Yielder is a Kind that can do without something where the host refuses it.
type Yielder[T Object] interface {
	// Yield takes it back, and says whether wanted is worth another try, which it is not
	// for ever. Current is nil when the host object is being created.
	Yield(wanted, current T, refusal error) bool
}

// HostUpdater is a Kind of which some changes go through subresources.
type HostUpdater[T Object] interface {
	// UpdateOnHost turns the host's current object into the wanted one, and returns
	// what the host made of it.
	UpdateOnHost(ctx context.Context, current, wanted T) (T, error)
}

// Ender is a Kind whose virtual objects end by steps, as a pod does. The twin of
// any other kind lives until the virtual object is gone altogether.
type Ender[T Object] interface {
	// VirtualEnding is called while the virtual object has a deletion timestamp;
	// hosted says whether there is a host object.
	VirtualEnding(ctx context.Context, virtual, host T, hosted bool) error
	// HostEnding is called while the host object has a deletion timestamp and the virtual has none.
	HostEnding(ctx context.Context, virtual, host T) error
}

// Remaker is a Kind whose host object has to be made again when what it says may
// not change.
type Remaker[T Object] interface {
	// Outdated says whether the engine must delete the host object and create another. The engine
	// keeps one that changes meanwhile.
	Outdated(virtual, host T) bool
}

// Misser is a Kind for which it matters that there is no host object.
type Misser[T Object] interface {
	// HostMissing returns true where the engine must not create the missing host object, because
	// the earlier one is gone for good. The engine asks before it creates one.
	HostMissing(ctx context.Context, virtual T) (bool, error)
}

// Teller is a Kind whose virtual objects say in their status why they are not on the host.
type Teller[T Object] interface {
	// Tell writes that into the status, in the words of the Event. Host is nil where
	// there is none.
	Tell(ctx context.Context, virtual, host T, why string) error
}

// Keeper is a Kind whose host objects may hold data. Where they do, a finalizer keeps the virtual
// object until the host object is deleted, so that its deletion is always seen;
// a host object whose virtual one is not there all the same is kept, and marked
// as an orphan. That an object is missing is no evidence that it was deleted:
// the API server inside may have lost it, or be another one.
type Keeper interface{ KeepsData() bool }

// Again returns an error that asks for another pass with back-off and is not
// reported: something that is under way has to happen first.
func Again(reason string) error { return againError(reason) }

type againError string

func (e againError) Error() string { return string(e) }

// refusedError is the refusal of an object before the host is even asked.
type refusedError struct {
	reason, message string
	fields          []RefusedField
}

func (e *refusedError) Error() string { return e.message }

// Refuse returns an error which says that the virtual object cannot be carried
// to the host. The syncer reports it by an Event on the object, with the reason.
func Refuse(reason, message string, fields ...RefusedField) error {
	return &refusedError{reason, message, fields}
}

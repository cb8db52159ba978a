// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine brings the objects of a virtual cluster and their twins on
// the host together, whatever their kind.
//
// A Store is one side of a kind; it is filled only if somebody follows it. A
// Controller has one fair queue of keys and calls one Reconciler; a Twin is
// the Reconciler of every kind that has the same object on both sides. What is
// particular to a kind is a Kind, in package resources: what to translate, what
// flows back, which other objects a change concerns. The rest is here, once:
//
//   - Work is level-triggered. Each pass compares what is with what should be,
//     both taken from the API servers; nothing is remembered between passes, so
//     a change made while the syncer was down, on either side, is seen like any other.
//   - An object on the host is changed or deleted only if it carries this
//     cluster's marker and, for deletion, by its UID. One that stands for another
//     life of the same virtual name is removed before a new one is made, unless
//     it holds data: that goes only with the virtual object of its UID, which a
//     finalizer keeps until then.
//   - Neither direction waits for the other: what is refused on one side does not
//     stop what the other has to say.
//   - What the host's admission changed stays: a field is written when something
//     else is asked for, or when somebody changed what the host had answered.
//   - What the host refuses (quota, pod security, admission) becomes an Event
//     on the virtual object, with the host's reason. A Breaker holds it back: of all
//     that is refused for one cause, one object is tried at a growing interval.
//   - Queues take turns between virtual namespaces, so that one with ten thousand
//     objects does not hold up one with a single pod.
package engine

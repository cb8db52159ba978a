// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine reconciles the objects of a virtual cluster with their twins on the host,
// whatever their kind.
//
// A Store is one side of a kind; it is empty unless somebody follows it. A Controller has one
// fair queue of keys and calls one Reconciler; a Twin is the Reconciler of every kind that has
// the same object on both sides. A Kind, in package resources, holds what is particular to a
// kind: what to translate, what to copy back, which other objects a change affects. The rest is
// here, once:
//
//   - Work is level-triggered. Each reconcile compares the actual with the desired state, both
//     from the API servers. The engine remembers nothing in between, so it sees a change on
//     either side during the syncer's downtime like any other.
//   - The engine changes or deletes an object on the host only if it has this cluster's marker,
//     and deletes it by its UID. Before it creates an object, it deletes one that belongs to an
//     earlier object of the same virtual name, unless that holds data. Such a one is deleted
//     only with the virtual object of its UID, which a finalizer keeps until then.
//   - Neither direction waits for the other: a refusal on one side does not stop the other.
//   - What the host's admission changed stays. The engine writes a field when it wants another
//     value, or when somebody changed what the host had answered.
//   - What the host refuses (quota, pod security, admission) becomes an Event on the virtual
//     object, with the host's reason. A Breaker holds it back: of all objects refused for one
//     cause, it retries one at a growing interval.
//   - Queues take turns between virtual namespaces, so that one with ten thousand objects does
//     not delay one with a single pod.
package engine

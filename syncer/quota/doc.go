// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota enforces how much a virtual cluster may use of the host.
//
// Usage measures what one object uses, under the names of a ResourceQuota. The rules are those
// of Kubernetes' own evaluators, which nobody can import. A Ledger adds up what is on the host.
// Each kind has a Book in it. The engine enters every created, changed and deleted object of
// the kind, and asks the Book before each write:
//
//   - The Book charges a write in advance, and cancels the charge when the write fails. So no
//     two simultaneous writes get the same last place.
//   - The Book counts what the host has made of an object, including the defaults of its
//     LimitRange, or what the write asks for, whichever is more.
//   - The Book never refuses a write that asks for no more of a resource than the object has: a
//     lowered quota ends nothing.
//   - Where CPU or memory is limited, each container has to set its amount, as with a
//     ResourceQuota. A default of spec.isolation.limitRange counts, too.
package quota

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota holds a virtual cluster to what it may have on the host.
//
// Usage measures what one object takes, by the names that a ResourceQuota has for
// it. The rules are those of Kubernetes' own evaluators, which lie where nobody can
// import them. A Ledger adds up what lies on the host. Each kind has a Book in it. The
// engine enters every object of the kind that comes, changes and goes, and asks the
// Book before each write:
//
//   - A write is charged before it is made, and the charge is taken back when it fails. Of
//     many writes at the same time no two get the same last place.
//   - What counts is what the host has made of an object, defaults of its LimitRange
//     included, and what is being asked for, whichever is more.
//   - A write that asks for no more of a resource than the object has is never refused for it: a quota
//     that is lowered ends nothing.
//   - Where CPU or memory is bounded, each container has to say how much it takes, as with
//     a ResourceQuota. A default of spec.isolation.limitRange says so, too.
package quota

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package isolation decides what of a tenant's objects may reach the host.
//
// Two checks have to agree. The tables of this package decide about each field of a spec, by
// type and name: it is passed, translated, left out or refused. The package refuses a field
// that no table decides, so a newer Kubernetes opens nothing by itself. And PodSecurity checks
// the resulting pod against a level of the Pod Security Standards, whatever the labels of the
// host namespace say.
//
// A tenant may name what the host offers to everybody in a namespace: nodes by
// label, classes, schedulers. What belongs to somebody (disks, addresses, secrets,
// credentials) a tenant names by an object inside, or not at all.
//
// docs/isolation.md shows the tables; a test keeps both the same.
package isolation

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package turn makes all replicas of garret-apiserver do something one after the other, such as
// counting objects and creating one more.
//
// Our own datastore records whose turn it is, in a Lease that no API serves. Replicas change it
// by compare-and-swap, which all our datastores support. Nothing compares clocks of different
// replicas. A replica that dies with the turn delays the others for the time in Abandoned. One
// that is stopped for longer has lost the turn, and what it does then may overlap with the next
// one's work.
package turn

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package turn has all replicas of garret-apiserver do something one after the
// other, such as counting objects and making one more.
//
// Whose turn it is stands in our own datastore, in a Lease that is not served:
// it is changed by comparing and swapping, which every datastore of ours can do.
// Clocks of different replicas are never compared. A replica that dies with the
// turn holds the others up for as long as Abandoned says; one that lives but is
// stopped for longer than that has lost it, and what it does thereafter may
// overlap with what the next one does.
package turn

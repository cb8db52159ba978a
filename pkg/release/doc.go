// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release deploys a chart as a Helm release, through the Helm SDK, and is
// the only package that knows Helm's actions.
//
// A release's records are Secrets in its own namespace, where others may write Secrets, too.
// They stay there, because Helm's users look there, and lists of one namespace stay short.
// Package sealed makes sure that this package reads only records that it wrote. It deletes
// records without a valid seal unread, including those of a Garret that did not seal any. It
// then adopts the release's objects, and replaces them with what the chart renders.
//
// Whoever may write Secrets can still restore a record that was valid once, and the caller of
// this package has rights in all namespaces. So a record is a hint, never an order. The package
// touches a listed object only when it is of a kind that the chart has, has the name of the
// release or of its workloads, and is in its namespace. It writes what the chart renders,
// whatever the record's manifest says; it never runs the record's hooks; and it leaves an
// object without the release's marks alone. The worst that an old record causes is one more
// revision, or a reinstallation, as when somebody deletes its StatefulSet.
//
// Nothing here waits for objects to become ready, and nothing asks the host what
// it serves: the chart's kinds are known. Both keep an install short.
package release

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release deploys a chart as a Helm release, through the Helm SDK, and is
// the only package that knows Helm's actions.
//
// A release's records are Secrets in its own namespace, where others may write
// Secrets, too. They stay there, since Helm's users look there, and since lists of
// one namespace stay short. Package sealed sees to it that only those are read that
// this package wrote. Records without a valid seal are deleted unread, also those of
// a Garret that did not seal any: the release's objects are adopted then, and what
// the chart renders replaces them.
//
// Whoever may write Secrets can still put back a record that was valid once, and the
// caller of this package has rights in all namespaces. So a record is a hint, never an
// order: the objects that it lists are touched only when they are of the kinds that
// the chart has, bear the release's name, or that of its workloads, and lie in its
// namespace; what they are made is what the chart renders, whatever the record's
// manifest says; its hooks never run; and an object that does not carry the release's
// marks is left alone. The worst that an old record does is a revision more, or a
// reinstallation, as when somebody deletes its StatefulSet.
//
// Nothing here waits for objects to become ready, and nothing asks the host what
// it serves: the chart's kinds are known. Both keep an install short.
package release

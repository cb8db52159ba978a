// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release deploys a chart as a Helm release, through the Helm SDK, and is
// the only package that knows Helm's actions.
//
// A release's records are Secrets in its own namespace, where whoever may write
// Secrets can forge one, while the caller of this package has rights in all
// namespaces. So a record is a hint, never an order: the objects that it lists
// are touched only when they are of the kinds that the chart has, bear the
// release's name, or that of its workloads, and lie in its namespace; what they are made is what the chart
// renders, whatever the record's manifest says; its hooks never run; and an object
// that does not carry the release's marks is left alone.
//
// Nothing here waits for objects to become ready, and nothing asks the host what
// it serves: the chart's kinds are known. Both keep an install short.
package release

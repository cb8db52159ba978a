// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage reports how much CPU and memory the pods of the virtual cluster use.
//
// The figures are the host's, from the metrics API of its own namespace: the syncer may not ask
// the host's kubelets, which would report everybody's pods. These rules apply:
//
//   - A figure belongs to a pod inside if the host pod of that name is its twin.
//   - It shows only the tenant's containers, as package containers identifies them.
//   - The package makes nothing up. A pod that the host has not measured has no figures, and
//     without the metrics API of the host, the answer is an error that says so.
//   - It asks the host at most every few seconds, however often a tenant asks.
//
// The host reports rates. Kubelets report totals of CPU time, and their readers compute rates
// from two of them. So the package keeps a total for each container, from when it first saw it:
// with each measurement, the total grows by its rate for the time since the previous one.
package usage

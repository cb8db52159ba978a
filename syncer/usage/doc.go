// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage tells what the pods of the virtual cluster use of CPU and memory.
//
// The figures are the host's, from the metrics API of its own namespace: the syncer may
// not ask the host's kubelets, which would tell it of everybody's pods. What holds:
//
//   - A figure belongs to a pod inside if the host pod of that name is its twin.
//   - It shows the tenant's containers alone, as package containers knows them.
//   - Nothing is made up. A pod that the host has not measured has no figures, and a
//     host without the metrics API makes that an error, which says so.
//   - The host is asked every few seconds at most, however often a tenant asks.
//
// The host tells rates. Kubelets tell totals of CPU time, and their readers compute
// rates from two of them. So a total is kept for each container, from when it was first
// seen: it grows with each measurement by its rate, for the time since the one before.
package usage

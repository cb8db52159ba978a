// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metricsapi serves metrics.k8s.io inside: kubectl top and autoscalers work
// without a metrics-server there, wherever the host has the API.
//
// The API server inside passes requests on, by an APIService. It has authenticated and
// authorised their callers, and is itself known by its certificate (package kubelet).
// So what is decided here is only what there is to see: pods inside, with the figures
// of package usage, and for a node the sum of those that run there. What else runs on
// a node of the host is not the tenant's to know.
package metricsapi

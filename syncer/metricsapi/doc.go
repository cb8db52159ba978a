// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metricsapi serves metrics.k8s.io inside, so that kubectl top and autoscalers work
// without a metrics-server there, wherever the host has the API.
//
// The API server inside passes requests on, by an APIService. It has authenticated and
// authorised their callers, and package kubelet identifies it by its certificate. So this
// package only decides what a caller sees: pods inside, with the figures of package usage, and
// for a node the sum of its pods inside. The tenant learns nothing about what else runs on a
// node of the host.
package metricsapi

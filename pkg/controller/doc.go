// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller is the process garret-controller: clients, leader election,
// health and metrics around the controllers in the packages below it.
//
// A replica that does not lead keeps its caches filled, so that taking over costs no more than
// the lease. A container that restarts in its pod gets its own lease back at once: the lease
// has the pod's name, and the kubelet never runs two containers of one name in a pod.
package controller

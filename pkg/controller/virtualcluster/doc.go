// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package virtualcluster reconciles VirtualCluster objects: it deploys each as a Helm release
// in the object's own namespace, reports the progress in the object's status, and removes all
// of it again.
//
// A reconcile computes values from the spec, deploys the release, checks the pod and writes the
// status. Watches deliver what it needs; it polls nothing while a virtual cluster starts. Two
// things have no event, so the controller checks them from time to time: whether the API inside
// still answers, and whether a problem has lasted so long that waiting is no plan.
//
// The syncer owns part of the same status. Both write by server-side apply, each
// under its own field manager, so neither needs to know what the other wrote.
//
// Ready is a promise: it is true only when the syncer reports that it and the control plane
// work, the pod's containers are ready and run what the spec says, and a server that the
// virtual cluster's own authority vouches for has just answered a request from here through the
// Service.
package virtualcluster

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package virtualcluster reconciles VirtualCluster objects: it deploys each as a
// Helm release in the object's own namespace, says in the object's status how
// far that has come, and removes all of it again.
//
// A pass over one object is: values from the spec, the release, a look at the
// pod, the status. What it needs to see arrives by watches; nothing is polled
// while a virtual cluster comes up. Two things have no event and are looked at
// now and then: whether the API inside still answers, and whether a trouble has
// lasted so long that waiting is no plan.
//
// The syncer owns part of the same status. Both write by server-side apply, each
// under its own field manager, so neither needs to know what the other wrote.
//
// Ready is a promise: it is true only when the syncer says that it and the
// control plane work, the pod's containers are ready, they run what the spec
// says, and a request from here through the Service has just been answered by
// a server that the virtual cluster's own authority vouches for.
package virtualcluster

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package slicereview judges the EndpointSlices that syncers write on the host.
//
// A Service leads to whatever address its slices name, also to the host's API server
// or to another's pod, and a node port does so for all the world. The host's role
// edit has no right to slices for that reason, and a syncer needs one. A syncer asks
// for allowed addresses only. But who has edit in its namespace can borrow its
// account, so the host asks, too: an address must be that of a pod of the same
// virtual cluster, or lie in a range that the HostCluster opens, and the Service
// must be the virtual cluster's own.
//
// A webhook has the host's API server ask here. The service of that webhook is the API
// server itself, which forwards the question as it does any request to our group: as the user
// system:apiserver, over the connection that the APIService secures. So nobody
// without the rights of a cluster administrator can ask, and no further
// certificate has to be kept.
//
// What is judged is a write. An address that was a pod's when it was written may be
// another's later: the syncer takes it away as soon as its pod is gone, but somebody
// who borrows the account need not.
package slicereview

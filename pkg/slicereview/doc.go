// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package slicereview reviews the EndpointSlices that syncers write on the host.
//
// A Service leads to whatever address its slices name, even to the host's API server or to
// somebody else's pod, and a node port does so for all the world. For that reason, the host's
// role edit has no right to slices, but a syncer needs one. A syncer only writes allowed
// addresses. But a user with edit in its namespace can use its account, so the host asks this
// package, too. An address must belong to a pod of the same virtual cluster, or be in a range
// that the HostCluster opens, and the Service must belong to the virtual cluster.
//
// A webhook makes the host's API server ask here, as package hostreview says.
//
// The package reviews writes only. An address that belonged to a pod at the time of the write
// may belong to another one later. The syncer removes it as soon as its pod is gone, but
// somebody else with the account need not.
package slicereview

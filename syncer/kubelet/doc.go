// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubelet is the virtual kubelet: the kubelet's API, served by the
// syncer for every node inside. Logs, exec, attach and port-forward reach the
// containers through it, while clients talk to the virtual API server itself.
//
// The virtual API server has authenticated and authorised the caller before it
// turns here. What is left to decide is whether the request stays within the
// virtual cluster, for from here it goes on with the syncer's own rights, which
// cover a whole namespace of the host:
//
//   - Only the virtual API server is let in, by its client certificate. Nobody gets such
//     a one through the certificates API inside: either that has nothing signed for clients by
//     the authority in question, or it refuses the group, which is system:masters (see TrustIn).
//     The one with which it passes requests on for an APIService opens the API in Options,
//     and nothing of the kubelet; the other way round it is the same.
//   - The pod must exist inside, and its container must be the tenant's: the same list
//     of the spec has it on both sides, and the syncer asked for it there. See package
//     containers. What the host injected is not the tenant's, whatever its name.
//   - The host pod is found by the translated name, and must carry this virtual
//     cluster's marker and the virtual pod's UID.
//   - The request to the host is built by the syncer itself: its path from the names of the host
//     pod, its query from the few parameters that are known, its headers from those that an
//     upgrade needs. Nothing of the caller's is passed on as it came.
//
// What it reports is that of the pods inside alone: their statuses, and the figures of
// package usage.
//
// Upgraded connections are tunnelled as they are, SPDY and WebSocket both: the
// host's API speaks what the caller of the kubelet speaks.
package kubelet

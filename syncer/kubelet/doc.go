// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubelet is the virtual kubelet: the kubelet's API, served by the
// syncer for every node inside. Logs, exec, attach and port-forward reach the
// containers through it, while clients talk to the virtual API server itself.
//
// The virtual API server has already authenticated and authorised the caller. This package has
// to make sure that the request stays within the virtual cluster, because from here it
// continues with the syncer's own rights, which cover a whole namespace of the host:
//
//   - It accepts only the virtual API server, by its client certificate. Nobody gets such a
//     certificate through the certificates API inside: either the authority in question signs
//     nothing for clients there, or that API refuses the group, which is system:masters (see
//     TrustIn). The certificate with which the API server passes on requests for an APIService
//     opens the API in Options, and nothing of the kubelet; and vice versa.
//   - The pod must exist inside, and its container must belong to the tenant: the same list of
//     the spec has it on both sides, and the syncer created it there. See package containers. A
//     container that the host injected never belongs to the tenant, whatever its name.
//   - It finds the host pod by the translated name, and that must have this virtual cluster's
//     marker and the virtual pod's UID.
//   - It builds the request to the host itself: the path from the names of the host pod, the
//     query from the few known parameters, the headers from those that an upgrade needs. It
//     passes on nothing of the caller's unchanged.
//
// It reports only about the pods inside: their statuses, and the figures of package usage.
//
// It tunnels upgraded connections unchanged, both SPDY and WebSocket: the host's API speaks
// what the caller of the kubelet speaks.
package kubelet

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package egress makes all connections of the API server inside.
//
// A tenant decides where they lead: by the address of a Node, by an EndpointSlice, by the URL
// of a webhook, by an APIService. The API server runs in the host's network, so without a limit
// it would be the tenant's proxy to the host's API server, to kubelets, to other tenants' pods
// and to its own pod's loopback.
//
// The control plane has an egress selector configuration that sends all of them
// through two Unix sockets, as HTTP CONNECT. The API server itself says which is which:
//
//   - "cluster" is for kubelets, the proxy subresources, and webhooks and APIServices
//     that name a Service. Its door opens to the virtual kubelet, to pods and Services
//     of the virtual cluster, and to ranges that the host's administrator names.
//   - "controlplane" is for webhooks that name a URL. Its door opens to the syncer's own
//     webhook, to pods and Services of the virtual cluster, to those ranges, and to
//     public addresses where public egress is allowed.
//
// What holds, whatever a tenant writes:
//
//   - A pod is the virtual cluster's if the host says so, by the label that the syncer
//     puts on it. Its address counts while it runs: one that has ended may have
//     passed it on. One in its node's network has the node's address, which never counts.
//   - A Service is the virtual cluster's by the same label. Its address counts with its ports,
//     and only if it has a selector: otherwise its endpoints may be anything.
//   - Loopback, link-local and metadata addresses, the control plane's own pod and
//     Service, and the host's API server are closed, whatever ranges are open.
//   - This package resolves a name once, checks the resulting addresses, and dials one of them.
//   - The HTTP answer gives the reason of each refusal, and API servers put that into their
//     error.
//
// The doors need only the host, and are open before the API server inside is ready: a webhook
// of the tenant may block its start.
package egress

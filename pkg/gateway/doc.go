// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is garret-apiserver's own address as a way into virtual
// clusters, beside virtualclusters/proxy, which leads through the host's API
// server:
//
//	https://GATEWAY/clusters/NAMESPACE/NAME/<path inside>
//
// # Who is let in
//
// Whoever the host authenticates and may get the VirtualCluster. The request
// runs through the same handler chain as one to the tenancy API: bearer tokens
// are reviewed by the host, client certificates must be signed by its
// authority, identity headers count from its front proxy alone, Impersonate
// headers if the host authorises them. What is asked of the host's authorizer
// is always "get virtualclusters NAME", whatever the method of the request: see
// Resolver. What the method does inside is for RBAC inside to decide, where the
// caller is who they would be through virtualclusters/proxy.
//
// # What holds
//
//   - A path leads to a virtual cluster in one spelling only. It is read once,
//     by Mark, before anything else; what is authorised, what is looked up and
//     what package relay cuts off follow from that one reading. Any other
//     spelling is an unknown path like others, for which a right to that path
//     is needed and behind which nothing is.
//   - The request is never taken for one to the object itself: the API handler
//     goes by the path, and there it knows of no resource.
//   - The host's policies and webhooks are asked what they are asked at
//     virtualclusters/proxy, whose CONNECT they know: who shuts that to somebody
//     has shut this.
//   - An upgrade by somebody who is not an administrator inside needs the right
//     to create there. The API server inside is asked first, since the right to
//     get pods/exec, which a reader may have, is all that an older one wants to
//     see for an exec over a WebSocket.
//   - No cookie is set or read, and no other origin is allowed by CORS. The one
//     credential that a browser sends on its own account is a client certificate:
//     with one, requests from pages of another origin are refused. See SameOrigin.
//
// Everything behind that, identity, headers, tunnels, is package relay's.
//
// # What does not hold
//
// The host's authorizer and token reviews are cached for about ten seconds.
// Behind something that terminates TLS, client certificates do not arrive.
package gateway

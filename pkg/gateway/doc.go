// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is a second way into virtual clusters, at garret-apiserver's own address. The
// first, virtualclusters/proxy, leads through the host's API server:
//
//	https://GATEWAY/clusters/NAMESPACE/NAME/<path inside>
//
// # Who is let in
//
// Everybody whom the host authenticates, and who may get the VirtualCluster. The request runs
// through the same handler chain as one to the tenancy API: the host reviews bearer tokens, its
// authority must have signed client certificates, identity headers count only from its front
// proxy, and Impersonate headers only if the host authorises them. The host's authorizer is
// always asked "get virtualclusters NAME", whatever the method of the request: see Resolver.
// RBAC inside decides what the method may do there, where the caller has the same identity as
// through virtualclusters/proxy.
//
// # What holds
//
//   - A path leads to a virtual cluster in one spelling only. Mark reads it once, before
//     anything else; authorisation, lookup and the prefix that package relay cuts off follow
//     from that one reading. Any other spelling is an unknown path: it needs a right to that
//     path, and there is nothing behind it.
//   - Nothing mistakes the request for one to the object itself: the API handler uses the path,
//     and knows no resource there.
//   - The host's policies and webhooks get the same question as at virtualclusters/proxy, a
//     CONNECT: whoever closes that to somebody has closed this.
//   - An upgrade by somebody who is not an administrator inside needs the right to create there.
//     The gateway asks the API server inside first, because an older one allows an exec over a
//     WebSocket with the right to get pods/exec, which a reader may have.
//   - The gateway sets and reads no cookie, and allows no other origin by CORS. The one
//     credential that a browser sends on its own account is a client certificate: with one, the
//     gateway refuses requests from pages of another origin. See SameOrigin.
//
// Everything behind that, identity, headers, tunnels, is package relay's.
//
// # What does not hold
//
// The host's authorizer and token reviews are cached for about ten seconds.
// Behind something that terminates TLS, client certificates do not arrive.
package gateway

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay passes requests of host users to the API servers of virtual clusters. It
// answers behind virtualclusters/proxy, and behind every other Entrance that a server gives it.
//
// # What it is up against
//
// The relay holds, for each virtual cluster, a client certificate that may
// impersonate anybody inside. Every request goes out over a connection that is
// authenticated with it, and only headers tell one user from another. So the
// whole safety of the relay is that nobody but the relay decides which headers,
// and which bytes, travel on such a connection.
//
// The caller is a host user, authenticated and authorised by the host, and
// hostile: wants to be somebody else inside, to reach another address than
// their virtual cluster's, or to do with a reader's rights what takes more.
//
// The virtual cluster is hostile as well: its owner is administrator there, can
// run a process in its pod's stead, and wants the credentials of the host users
// who come in, to be connected to other places, or to speak to other clients
// in the host's name.
//
// # What holds against the caller
//
//   - Identity is written last, by the round tripper, and in tunnels by the
//     function that makes the request: see seal. Nothing that a caller sends is
//     interpreted after that; set any earlier, identity could be taken off by
//     "Connection: Impersonate-User", as it can in Go's reverse proxy. The
//     certificate's user has no right but to impersonate, so a request without
//     identity is refused inside.
//   - Whatever a caller says about identity is left out: Authorization, every Impersonate- and
//     X-Remote- header, in any spelling, and tokens among the WebSocket subprotocols. So are
//     cookies, and what proxies say about the way. The relay passes on no trailers, in either
//     direction.
//   - Only protocols that take over the connection for good are upgraded to:
//     WebSocket and SPDY/3.1. Behind any other 101, h2c above all, the API
//     server would read further requests from the caller's own bytes,
//     authenticated as the relay. For the same reason an upgraded connection
//     is never used again, whatever became of the upgrade, and a request to
//     upgrade may have no body.
//   - Ordinary requests travel over HTTP/2, which every kube-apiserver speaks unless a header
//     says not to, and which has no ambiguous lengths to smuggle with. The relay only sends
//     methods for which the host has a verb.
//   - An upgrade needs the right to create, also when it is asked for with GET:
//     package access decides that, or, at an entrance where rights inside count,
//     the API server inside is asked first. An answer other than 101 is never a
//     tunnel.
//   - The path is taken as the caller encoded it, without the prefix that the
//     host authorised. Dot segments, encoded slashes and back slashes, control
//     characters and what is not UTF-8 are refused, in any spelling, instead of
//     being interpreted: two servers may do that in two ways. A query that says
//     different things to different servers is written by the relay itself.
//   - The destination follows from the object's name. Path, Host header, query and status play
//     no part in it.
//   - A slow caller occupies one copy buffer and one stream's window, never a whole answer, and
//     the relay drops it when it reads nothing for minutes. The relay closes a tunnel that is
//     silent for hours, or that one side has closed.
//
// # What holds against the virtual cluster
//
//   - The server must have a certificate of the cluster's own authority for the
//     cluster's own name, or nothing is sent to it.
//   - No credential of the host goes in, see above.
//   - Redirects are answered with 502, so that no client is sent elsewhere.
//     Headers that speak for the host's origin (cookies, CORS, HSTS and the like),
//     ask for a password, or instruct proxies are dropped. Pages are shown without
//     an origin (Content-Security-Policy: sandbox), and types are not guessed:
//     behind kubectl proxy a script inside could else do all that its user may.
//   - Only the relay says where an answer ends, and what concerns connections:
//     the relay writes lengths and the line of a 101 itself, codes that are none are 502.
//     An answer that breaks off breaks the caller's connection, too.
//   - Answers to one user stay out of caches that several share.
//   - The header of an answer, and of a refused upgrade its body, are bounded,
//     for they are held in memory; informational answers end at the relay.
//   - 401 of the API server inside is about the relay's certificate, not about
//     the caller, who would otherwise be asked to log in again. The certificate
//     is renewed, at most every ten seconds, and the request repeated once.
//
// # What does not hold
//
// The host's authorizer caches for about ten seconds, so a removed right works that much
// longer, and an open tunnel or watch stays open.
//
// Whether a browser's request is its user's will is for those who authenticate
// it. The relay sees no token and no origin that it could compare: who puts a
// client certificate for the host into a browser lets any site open a WebSocket
// here, as at every kube-apiserver.
package relay

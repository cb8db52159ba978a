// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access decides who may enter a virtual cluster, as whom, and with
// which short-lived credential.
//
// # What is decided here
//
// Garret never stores a key of a virtual cluster where a user of the host could read it. Users
// enter in one of two ways:
//
//   - through the relay, which holds a client certificate for the user garret:relay. That user
//     may impersonate and do nothing else, so the API server inside refuses a request that lost
//     its identity, instead of serving it with somebody's rights;
//   - with their own kubeconfig, whose client certificate expires. Its rights belong to one
//     group, garret:kubeconfig:ID, which no other certificate has: the id is derived from the
//     key. The ClusterRoleBinding of that name inside grants them, and deleting it revokes them
//     at once. A kubeconfig that is limited to a role also has its own user name, so that it
//     gets nothing else that is bound to its owner.
//
// The syncer's issuer signs both certificates, inside the virtual cluster's pod. This package
// generates the key in memory, sends the issuer a certificate request over mutual TLS, and
// checks that it gets what it asked for. The key of the relay never leaves the process; the key
// of a kubeconfig leaves it once, in the answer to its request. No key is logged.
//
// # Trust
//
//   - We believe the host's authorizer about host users. One question decides about entering
//     with rights: "create virtualclusters/proxy". The authorizer caches the answer for about
//     ten seconds, so removing a right takes that long.
//   - We believe the virtual cluster's status about one thing, the certificate authority,
//     because the syncer of that cluster reports it. Whoever controls the syncer controls that
//     virtual cluster already. We never read from the status where to connect: that follows from
//     the object's own name and namespace, see v1.ServerName.
//   - We do not believe those who may write Services of a namespace about what answers there: it
//     must have the cluster's own name and authority before we send it anything. We never
//     connect to addresses of garret-apiserver itself and of its node.
//   - We do not believe an issuer about what it signed, and drop a certificate with another key,
//     another subject or a longer life than we asked for.
//
// # Names
//
// Host names keep their meaning on the host only. The user alice is host:alice inside, the
// group dev is host:dev, and so is every name that begins with "system:": nobody is
// system:masters inside because of what they are outside. Nobody inside knows what a host
// user's extra attributes and UID mean, so we pass on neither. The only groups without the
// prefix are Garret's own: garret:admins and garret:viewers, to which only the relay assigns
// users, and those of kubeconfigs.
package access

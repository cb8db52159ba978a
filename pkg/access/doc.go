// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access decides who may enter a virtual cluster, as whom, and with
// which short-lived credential.
//
// # What is decided here
//
// Garret never stores a key of a virtual cluster where a user of the host
// could read it. Whoever enters does so in one of two ways:
//
//   - through the relay, which holds a client certificate for the user
//     garret:relay. That user may impersonate and do nothing else, so a
//     request whose identity went missing is refused inside instead of being
//     served with somebody's rights;
//   - with a kubeconfig of their own, whose client certificate ends by itself.
//     Its rights are those of one group, garret:kubeconfig:ID, that no other
//     certificate carries: the id is derived from the key. The
//     ClusterRoleBinding of that name inside gives them, and deleting it takes them
//     back at once. A kubeconfig that is held to a role has a user name of its own
//     as well, so that nothing else that is bound to its owner comes with it.
//
// Both certificates are signed inside the virtual cluster's pod. This package
// generates the key in memory, sends a certificate request to the syncer's
// issuer over mutual TLS, and checks that what comes back is what was asked
// for. The key of the relay never leaves the process; the key of a kubeconfig
// leaves it once, in the answer to its request. No key is logged.
//
// # Trust
//
//   - The host's authorizer is believed about host users. Entering with rights
//     is decided by one question, "create virtualclusters/proxy", which the
//     authorizer caches for about ten seconds: taking a right away shows that
//     much later.
//   - The virtual cluster's status is believed about one thing, the
//     certificate authority, because the syncer of that cluster reports it. Who
//     controls the syncer controls that virtual cluster already. Where to
//     connect is never read from the status: it follows from the object's own
//     name and namespace, see v1.ServerName.
//   - Who may write Services of a namespace is not believed about what answers
//     there: it must have the cluster's own name and authority before anything is
//     said to it. Addresses of garret-apiserver itself and of its node are not
//     connected to at all.
//   - An issuer is not believed about what it signed. A certificate with
//     another key, another subject or a longer life than asked for is dropped.
//
// # Names
//
// Host names keep their meaning on the host only. The user alice is
// host:alice inside, the group dev is host:dev, and so is every name that
// begins with "system:": nobody is system:masters inside because of what they
// are outside. What a host user's extra attributes and UID mean is unknown
// inside, so neither goes along. The only groups without the prefix are Garret's
// own: garret:admins and garret:viewers, which only the relay puts anybody in, and
// those of kubeconfigs.
package access

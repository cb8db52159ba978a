// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer signs the client certificates with which people and the relay
// enter a virtual cluster.
//
// The keys of a virtual cluster never leave its pod, and lie in no object that a
// user of the host namespace can read. Whoever decides who may enter is
// garret-apiserver; it sends a certificate request here, over mutual TLS, and the
// issuer signs it with the virtual cluster's authority of clients.
//
// The issuer does not trust garret-apiserver further than it must:
//
//   - Only a certificate of garret-apiserver's own authority, for its own name, is let in.
//   - Only two kinds of subject are signed: the relay, who inside may do nothing but
//     impersonate, and a kubeconfig of a user of the host. The names of the latter follow
//     from its grant: the group garret:kubeconfig:ID, which is in no other certificate
//     since the id is that of the key, and the user host:NAME, or garret:kubeconfig:ID:NAME
//     for a kubeconfig that is held to a role. No "system:" name can come out, so nobody
//     becomes system:masters or a component of the control plane, which RBAC
//     inside cannot hold back.
//   - A kubeconfig has its rights from a ClusterRoleBinding of its own, which is made
//     before it is signed, never taken over, and removed where signing fails. Deleting it
//     takes the rights back; the same id cannot come back with another key.
//   - The certificate is made from the two names and the public key alone. Whatever
//     else a request carries (further attributes, alternative names, extensions) is left behind.
//   - Nothing lives longer than a day: a certificate itself cannot be revoked.
package issuer

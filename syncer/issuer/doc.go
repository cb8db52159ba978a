// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer signs the client certificates with which people and the relay
// enter a virtual cluster.
//
// The keys of a virtual cluster never leave its pod, and no object that a user of the host
// namespace can read contains them. garret-apiserver decides who may enter. It sends a
// certificate request here, over mutual TLS, and the issuer signs it with the virtual cluster's
// certificate authority for clients.
//
// The issuer does not trust garret-apiserver further than it must:
//
//   - It accepts only a client certificate of garret-apiserver's own authority, for its own
//     name.
//   - It signs only two kinds of subject: the relay, who may do nothing but impersonate inside,
//     and a kubeconfig of a user of the host. The names of the latter follow from its grant: the
//     group garret:kubeconfig:ID, which is in no other certificate since the id is that of the
//     key, and the user host:NAME, or garret:kubeconfig:ID:NAME for a kubeconfig that is limited
//     to a role. No "system:" name can come out, so nobody becomes system:masters or a component
//     of the control plane, which RBAC inside cannot hold back.
//   - A kubeconfig gets its rights from its own ClusterRoleBinding. The issuer creates that
//     before it signs, never reuses an existing one, and deletes it when signing fails. Deleting
//     it revokes the rights; the same id cannot come back with another key.
//   - It makes the certificate only from the two names and the public key, and drops whatever
//     else a request carries: further attributes, alternative names, extensions.
//   - Nothing lives longer than a day: a certificate itself cannot be revoked.
package issuer

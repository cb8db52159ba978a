// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeconfig keeps a kubeconfig of the virtual cluster in a Secret of the host, as
// spec.kubeconfigSecret asks, in the form that a tool on the host reads.
//
// The credential is one of the virtual cluster itself. Its key is made here, its certificate
// is signed by the authority of clients beside the syncer, and its rights come from one
// ClusterRoleBinding inside, garret:kubeconfig:ID, of one ClusterRole. The id follows from
// the key, and the user's name holds the id: nothing else can be bound to a credential before
// it exists, and nothing stays bound to the next one.
//
// A credential is renewed at two thirds of its life. The one before keeps its rights until it
// expires, since a tool may hold it still. In all other cases the rights of every former
// credential end before a new one is made: the Secret was deleted or changed, the binding was
// deleted inside, or the spec names another Secret or another ClusterRole.
//
// # Trust
//
//   - Who may have the Secret written was decided by garret-apiserver: it asks for the
//     right to create virtualclusters/kubeconfig, which gives the same.
//   - A Secret is the virtual cluster's own only by the labels that the syncer sets and
//     by standing for nothing inside. Tenants cannot give those labels to a Secret of theirs.
//     Any other Secret is neither changed nor deleted, and no credential is made for it.
//   - A Secret that is the virtual cluster's own may have been changed by somebody with
//     rights on the host. Its content counts only where its certificate is of the authority
//     of clients, belongs to its key, and still has its binding inside.
package kubeconfig

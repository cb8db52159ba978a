// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeconfig keeps a kubeconfig of the virtual cluster in a Secret of the host, as
// spec.kubeconfigSecret asks, in the form that a tool on the host reads.
//
// The credential is one of the virtual cluster itself. This package creates its key, the
// certificate authority for clients beside the syncer signs its certificate, and one
// ClusterRoleBinding inside, garret:kubeconfig:ID, gives it the rights of one ClusterRole. The
// id follows from the key, and the user's name contains the id: nobody can bind anything to a
// credential before it exists, and nothing stays bound to the next one.
//
// The package renews a credential after two thirds of its life. The previous one keeps its
// rights until it expires, because a tool may still use it. In all other cases, the rights of
// every former credential end before the package creates a new one: somebody deleted or changed
// the Secret, somebody deleted the binding inside, or the spec names another Secret or another
// ClusterRole.
//
// # Trust
//
//   - garret-apiserver has decided who may request the Secret: it requires the right to create
//     virtualclusters/kubeconfig, which gives the same.
//   - A Secret belongs to the virtual cluster only if it has the syncer's labels and stands for
//     nothing inside. Tenants cannot give those labels to their Secrets. The package neither
//     changes nor deletes any other Secret, and creates no credential for it.
//   - Somebody with rights on the host may have changed a Secret of the virtual cluster. Its
//     content counts only if the authority for clients issued its certificate, the certificate
//     matches the key, and its binding inside still exists.
package kubeconfig

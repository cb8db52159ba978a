// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package virtualcluster serves the resource virtualclusters and its
// subresources status, kubeconfig and proxy.
//
// Spec belongs to the owner, status to Garret: a write to one path never changes what belongs
// to the other, and server-side apply knows it. A syncer, which runs in the owner's own
// namespace, may write only the status, without labels, finalizers or owner references.
package virtualcluster

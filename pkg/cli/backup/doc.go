// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package backup saves Garret's embedded database from an installed Garret to a
// file, and puts it back.
//
// The image has no shell and no tools, so what runs in the cluster is
// garret-apiserver's own binary: a backup is taken inside the running pod, and
// a restore in a pod of its own, made like garret-apiserver's and on its
// volume, while garret-apiserver is scaled down. So a restore also works where
// garret-apiserver does not start because its database is damaged or gone.
package backup

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package backup saves Garret's embedded database from an installed Garret to a file, and
// restores it.
//
// The image has no shell and no tools, so what runs in the cluster is garret-apiserver's own
// binary: it takes a backup inside the running pod. It restores in a separate pod like
// garret-apiserver's, on the same volume, while garret-apiserver is scaled down. So a restore
// also works where garret-apiserver does not start because its database is damaged or gone.
package backup

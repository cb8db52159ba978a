// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates of the syncer's servers and signs those of
// clients, with the authorities that the control plane keeps in its data directory.
//
// The layout of that directory is the one of k3s: server/tls/server-ca.{crt,key}
// and server/tls/client-ca.{crt,key}; Garret's own control plane has
// kubelet-ca.{crt,key} besides. The syncer only reads there. Keys that it
// makes for itself stay in memory: a restarted syncer makes new ones, and nothing of
// them can be taken from a disk.
//
// All files are looked at again for every handshake or signature and read when
// they changed, so neither an authority that is replaced nor a bundle that grows
// asks for a restart.
package pki

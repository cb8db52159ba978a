// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki creates the certificates of the syncer's servers and signs those of clients, with
// the authorities in the control plane's data directory.
//
// The layout of that directory is the one of k3s: server/tls/server-ca.{crt,key} and
// server/tls/client-ca.{crt,key}; Garret's own control plane has kubelet-ca.{crt,key} besides.
// The syncer only reads there. Its own keys stay in memory: a restarted syncer creates new
// ones, and nobody can take them from a disk.
//
// It checks all files at every handshake or signature, and reads changed ones. So neither a
// replaced authority nor a growing bundle needs a restart.
package pki

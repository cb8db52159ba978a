// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certs creates, stores, renews and publishes the certificates of garret-apiserver, so
// that they need no other software.
//
// There is one certificate authority. It signs the serving certificate, which the host's API
// server verifies with the caBundle of the APIService, and the client certificate, with which
// garret-apiserver introduces itself to the syncers of virtual clusters; those get the
// authority's public half from a ConfigMap. All replicas share one Secret: the first one
// creates it, and the API server's optimistic locking decides when two renew at once.
//
// # Rotation
//
// Leaf certificates are valid for weeks, and the package replaces them after two thirds of
// that. The authority is valid for years. Before it expires, the package creates its successor
// and publishes both. The successor starts to sign only after everybody has had days to learn
// about it. So every certificate in use has an authority that was published long before, and
// open connections stay open.
//
// # Trust
//
// Whoever reads the Secret can impersonate garret-apiserver and enter every virtual cluster. It
// is in Garret's own namespace, where no tenant has rights. The published halves contain no
// key.
package certs

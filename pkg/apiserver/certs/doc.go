// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certs makes, keeps, renews and publishes the certificates of
// garret-apiserver, so that nothing else has to be installed for them.
//
// There is one certificate authority. It signs the serving certificate, which
// the host's API server verifies with the caBundle of the APIService, and the
// client certificate, with which garret-apiserver introduces itself to the
// syncers of virtual clusters; those get the authority's public half from a
// ConfigMap. All replicas share one Secret: who comes first makes it, and the
// API server's optimistic locking decides when two renew at once.
//
// # Rotation
//
// Leaf certificates live for weeks and are replaced after two thirds of that.
// The authority lives for years. Before it ends, its successor is made and
// published beside it; only when everybody has had days to learn about the
// successor does it begin to sign. At no moment is there a certificate in use
// whose authority was not published long before, and connections that are open
// stay open.
//
// # Trust
//
// Whoever reads the Secret can stand in for garret-apiserver and enter every
// virtual cluster. It lies in Garret's own namespace, where no tenant has
// rights. The published halves hold no key.
package certs

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bootstrap creates what a virtual cluster needs inside, and reports the cluster's
// state to the host.
//
// It creates ordinary objects, by server-side apply, so that starting again is the same as
// starting: the admission webhook's configuration, the rights of the relay, of administrators
// and of viewers, the Service kubernetes with the address that leads to this API server rather
// than to the host's, and DNS.
//
// A tenant owns their cluster and may change these objects. The package restores rights,
// webhook and Service, because the cluster does not work without them. The Corefile stays as
// the tenant left it, and a ConfigMap coredns-custom adds to it.
//
// Steps do not wait for each other. Ready is closed when the syncer may sync pods: it then has
// the addresses of kubernetes.default and of the DNS, which pods get at their start.
package bootstrap

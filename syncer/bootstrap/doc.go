// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bootstrap puts in place what a virtual cluster needs inside, and
// tells the host how the cluster is.
//
// What it puts there is ordinary objects, by server-side apply, so that starting
// again is the same as starting: the admission webhook's configuration, the rights
// of the relay, of administrators and of viewers, the Service kubernetes with the
// address that leads to this API server rather than to the host's, and DNS.
//
// A tenant owns their cluster and may change these objects. Rights, webhook and the
// Service are put back, for without them the cluster does not work; the Corefile
// stays as the tenant left it, and a ConfigMap coredns-custom adds to it.
//
// Steps do not wait for each other. Ready is closed when pods may be synced:
// with the addresses of kubernetes.default and of the DNS, which pods get at their start.
package bootstrap

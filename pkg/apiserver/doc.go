// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver puts garret-apiserver together: an aggregated API server
// for the group tenancy.garret.dev.
//
// It is built from the same library as the host's own API server and behaves like it. It asks
// the host who a caller is and what they may do: the host's API server introduces callers over
// a connection on which it authenticates itself, and the host's RBAC decides their rights. The
// host's webhooks, admission policies and quotas apply here as well, and so do its rules for
// priority and fairness.
//
// Options come from flags, Config joins them to the running parts, Server runs.
package apiserver

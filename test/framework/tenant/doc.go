// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tenant stands behind VirtualCluster objects in tests: a real control
// plane with the issuer of a real syncer beside it, and a dialer that takes
// garret-apiserver there in place of the Services that a host with nodes has.
//
// One control plane may stand behind several objects, under a name for each.
package tenant

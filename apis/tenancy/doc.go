// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:deepcopy-gen=package

// Package tenancy holds the hub types of the group tenancy.garret.dev: the
// shape that the API server's own code works with, whatever version a client
// speaks. External versions convert to and from it.
// +groupName=tenancy.garret.dev
package tenancy // import "garret.dev/garret/apis/tenancy"

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:deepcopy-gen=package

// Package tenancy holds the hub types of the group tenancy.garret.dev. The API server's own
// code works with them, whatever version a client uses. External versions convert to and from
// them.
// +groupName=tenancy.garret.dev
package tenancy // import "garret.dev/garret/apis/tenancy"

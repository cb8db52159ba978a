// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resources holds what is particular to each kind of object that is
// synced between a virtual cluster and its host: one kind, one file (a pod, which
// is many things, has several). A kind is a line in kinds; a plain one is a declared:
// a few small functions, and the engine does the rest.
//
// Upwards, to the host, go pods, services, configmaps, secrets, volume claims,
// disruption budgets and the endpoints of services without selector. Downwards, into the virtual cluster,
// go their status, nodes and volumes, each a mirror, and the host's Events about them. Configmaps
// and secrets travel only while a pod needs them.
//
// What a tenant writes is translated, never trusted: whatever decides about
// power on the host (node paths, host namespaces, privileges, scheduling) is
// passed on unchanged for the host's own admission to judge, and what would give a
// tenant more than the host can judge (credentials of the host, annotations,
// external addresses, priorities) is left out.
package resources

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
// What a tenant writes is translated, never trusted. Package isolation decides which
// fields of a spec travel, and holds host pods to a level of Pod Security. The
// syncer reports what it refuses as an Event of the reason Forbidden. The host's own
// admission judges after that.
package resources

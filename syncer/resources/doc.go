// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resources holds what is particular to each kind that is synced between a virtual
// cluster and its host. Each kind has one file; a pod, which is many things, has several. A
// kind is a line in kinds; a plain one is a declared: a few small functions, and the engine
// does the rest.
//
// The syncer copies to the host: pods, services, configmaps, secrets, volume claims, disruption
// budgets and the endpoints of services without selector. It copies into the virtual cluster:
// their status, nodes and volumes, each as a mirror, and the host's Events about them. It
// copies configmaps and secrets only while a pod needs them.
//
// What a tenant writes is translated, never trusted. Package isolation decides which fields of
// a spec are copied, and checks host pods against a level of Pod Security. The syncer reports
// what it refuses as an Event with the reason Forbidden. The host's own admission decides after
// that.
package resources

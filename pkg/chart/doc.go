// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart holds the Helm chart that deploys one virtual cluster, and says who may set
// which of its values.
//
// There are two kinds of values. Most are garret-controller's, derived from the VirtualCluster
// object: identity, images, addresses, the host's trust anchor. tenant.schema.json lists the
// few that the owner of a virtual cluster may set through spec.helm.values; nothing else
// reaches the templates. garret-apiserver checks them at admission, garret-controller checks
// them again before it renders: an object may have been stored under an older schema.
//
// The owner may have no right on the host but to create VirtualClusters. So none of the owner's
// values reaches a Role, a security context, a volume, an image, a ServiceAccount or the
// metadata of a pod, and no template evaluates a value. The owner chooses in the spec which
// kinds are synced; the syncer's Role has the rights that the catalogue names for those, and
// never more than all of it.
package chart

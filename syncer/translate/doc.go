// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package translate maps the identity of objects of a virtual cluster to the
// host cluster and back.
//
// It is pure: nothing here talks to an API server, so each rule can be tested
// and fuzzed by itself. The rules are
//
//   - A host name is the virtual name and namespace, shortened where they must be, and a hash of
//     (cluster id, namespace, name). People can read it, it is a DNS label, and it differs
//     whenever one of the three differs. Nothing ever parses it.
//   - Annotations hold the virtual identity. The label garret.dev/cluster and the UID of the
//     virtual object decide whether a host object is ours; the syncer never changes or deletes
//     an object that is not ours.
//   - A tenant's label moves into the domain tenant.garret.dev, so that no selector of the host
//     matches it by accident. Selectors that are copied to the host move in the same way, and
//     only match objects of the cluster and of the virtual namespaces that they mean.
//   - No annotation of a tenant becomes an annotation of the host under its own name:
//     controllers, CNI plugins and load balancers take orders by annotations. Those that a pod
//     reads through the downward API move into the domain tenant.garret.dev, as labels do.
//   - The Service of the virtual cluster, which lives as long as the cluster, owns every host
//     object. So the host's garbage collector removes what is left if everything else fails.
package translate

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package translate maps the identity of objects of a virtual cluster to the
// host cluster and back.
//
// It is pure: nothing here talks to an API server, so each rule can be tested
// and fuzzed by itself. The rules are
//
//   - A host name is the virtual name and namespace, shortened where they must
//     be, and a hash of (cluster id, namespace, name). It can be read by people,
//     is a DNS label, and differs whenever one of the three differs. Nothing is
//     ever parsed back out of it.
//   - The virtual identity stands in annotations. The label garret.dev/cluster
//     and the UID of the virtual object decide whether a host object is ours; an
//     object that is not ours is never changed and never deleted.
//   - A label that a tenant chooses moves into the domain tenant.garret.dev, so
//     that no selector of the host matches it by accident. Selectors that travel
//     to the host are moved the same way, and are narrowed to the cluster and to
//     the virtual namespaces that they mean.
//   - No annotation of a tenant becomes an annotation of the host under its own
//     name: annotations are how controllers, CNI plugins and load balancers take
//     orders. Those that a pod reads through the downward API move into the
//     domain tenant.garret.dev, as labels do.
//   - Every host object is owned by the Service of the virtual cluster, whose
//     life is that of the cluster, so that the host's garbage collector removes
//     what is left if everything else fails.
package translate

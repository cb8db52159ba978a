// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access keeps, inside a virtual cluster, the ClusterRoleBindings through
// which people of the host have their rights there.
//
// Two kinds of them stand under names that Garret reserves:
//
//   - garret:access:ROLE, one for each ClusterRole that spec.access names. The
//     spec is the truth about them: what somebody inside changes is put back, and
//     a binding that the spec does not ask for is removed. The syncer watches its
//     own VirtualCluster through the host's API server and no other. While
//     it cannot be read, everything stays as it is: an outage of
//     garret-apiserver neither gives nor takes a right.
//   - garret:kubeconfig:ID, one for each kubeconfig. The object is the truth:
//     whoever deletes it takes the credential's rights back at once, and nobody
//     puts it back. It is removed when the credential has ended.
//
// # Trust
//
// Subjects of the first kind begin with "host:", whatever the spec holds, so a
// rule can never name a component of the control plane or somebody who exists
// inside only. The group of a kubeconfig is in one certificate only, since its
// name follows from the key; a binding of that name made by
// somebody inside gives rights inside, which that somebody must have, and
// nothing on the host.
package access

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access keeps, inside a virtual cluster, the ClusterRoleBindings that give users of
// the host their rights there.
//
// There are two kinds of them, under names that Garret reserves:
//
//   - garret:access:ROLE, one for each ClusterRole that spec.access names. The spec is the truth
//     about them: the syncer reverts what somebody inside changes, and deletes a binding that
//     the spec does not ask for. It watches only its own VirtualCluster through the host's API
//     server. While it cannot read that, everything stays as it is: an outage of
//     garret-apiserver neither gives nor takes a right.
//   - garret:kubeconfig:ID, one for each kubeconfig. The object is the truth: whoever deletes it
//     revokes the credential's rights at once, and nobody restores it. The syncer deletes it
//     when the credential has expired.
//
// # Trust
//
// Subjects of the first kind begin with "host:", whatever the spec says, so a rule can never
// name a component of the control plane or somebody who exists only inside. The group of a
// kubeconfig is in one certificate only, because its name follows from the key. A binding of
// that name by somebody inside gives rights inside, which its author must have, and nothing on
// the host.
package access

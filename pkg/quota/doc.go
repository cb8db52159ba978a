// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota counts what a virtual cluster asks of its namespace on the host,
// under names of our own that a ResourceQuota may bound:
//
//   - tenancy.garret.dev/requests.millicpu, requests.memory, limits.millicpu and
//     limits.memory: of both containers of its pod, the defaults included,
//   - tenancy.garret.dev/requests.storage: of its volume.
//
// The names of the host bound pods and claims, which come after the virtual
// cluster and leave it waiting when they are refused. Ours refuse the virtual
// cluster itself. The rules are those of the host for pods: a limit without a request
// is a request too. What nobody gave counts with its default, and the size of a volume
// counts as long as the virtual cluster exists, asleep or not.
//
// garret-apiserver enforces, in admission, and adds to the quota's status.used
// what it lets in. garret-controller counts again when something goes, or when
// what was let in was never stored: nobody else knows these names.
package quota

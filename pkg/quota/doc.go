// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota counts what a virtual cluster requests from its namespace on the host, under
// our own names that a ResourceQuota may limit:
//
//   - tenancy.garret.dev/requests.millicpu, requests.memory, limits.millicpu and
//     limits.memory: of both containers of its pod, the defaults included,
//   - tenancy.garret.dev/requests.storage: of its volume.
//
// The host's names limit pods and claims. These come after the virtual cluster, which waits
// when the host refuses them. Our names refuse the virtual cluster itself. The rules are the
// host's rules for pods: a limit without a request is also the request. Unset values count with
// their defaults, and the size of a volume counts as long as the virtual cluster exists, asleep
// or not.
//
// garret-apiserver enforces the quota in admission, and adds what it accepts to the quota's
// status.used. garret-controller counts again when something is deleted, or when an accepted
// object was never stored: nobody else knows these names.
package quota

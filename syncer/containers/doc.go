// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package containers decides which containers of a host pod belong to the tenant.
//
// The host may add containers to the pods that the syncer creates there: the sidecar of a mesh,
// an agent, the debug container of an administrator. The tenant may neither enter nor see them.
// A name proves nothing, because a tenant can choose the name of a running container of the
// host for an ephemeral one. So a container belongs to the tenant where three agree on its list
// and its name:
//
//   - The pod inside has it.
//   - The syncer asked for it, which the host pod remembers in an annotation.
//   - The host pod has it.
//
// The annotation is as trustworthy as the host: users and webhooks of the host may write it,
// and a tenant may not, because no annotation of a tenant reaches the host under its own name.
// The write that creates a pod records its containers. The syncer records an ephemeral
// container only after the host has accepted it: the other order would open a container that
// somebody on the host added under that name meanwhile.
//
// The host may replace a tenant's container with another one in the same place: that still
// belongs to the tenant, like a changed image.
//
// Containers of a pod share its network. Their ports are open to each other, and so
// to the tenant. With shareProcessNamespace they see each other's processes, too.
package containers

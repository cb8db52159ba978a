// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package containers tells which containers of a host pod are the tenant's.
//
// The host may add containers to the pods that the syncer makes there: the sidecar
// of a mesh, an agent, the debug container of an administrator. None of them is the
// tenant's to enter or to see. A name says nothing: a tenant chooses that of an
// ephemeral container when the host's container runs already. So a container is the
// tenant's where three agree on its list and its name:
//
//   - The pod inside has it.
//   - The syncer asked for it, which the host pod remembers in an annotation.
//   - The host pod has it.
//
// The annotation can be trusted as far as the host can: users and webhooks of the host
// may write it, and a tenant may not. No annotation of a tenant reaches the host under
// its own name. What a pod is made with is remembered in the write that makes it. An
// ephemeral container is remembered only after the host has taken it: the other order
// would open what somebody on the host made under that name meanwhile.
//
// The host may replace a container of the tenant's by another one in the same place:
// that is still the tenant's, as a changed image is.
//
// Containers of a pod share its network. Their ports are open to each other, and so
// to the tenant. With shareProcessNamespace they see each other's processes, too.
package containers

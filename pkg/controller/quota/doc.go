// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota updates status.used of ResourceQuotas that limit what virtual clusters request,
// under the names of pkg/quota. The host stores these numbers, but cannot count them; it counts
// all other names, and sets status.hard.
//
// Three write the status: the host's controller, the admission of garret-apiserver, which adds
// what it lets in before that is stored, and this one. Each writes with the resourceVersion
// that it read, so none undoes what another did. This one raises the used amount at once, and
// lowers it only when the quota has not changed for a while. Otherwise it would miss objects
// that admission has accepted and nobody has stored yet, and admission would accept more than
// the limit.
package quota

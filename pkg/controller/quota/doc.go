// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota keeps status.used of ResourceQuotas that bound what virtual
// clusters ask for, under the names of pkg/quota. The host keeps what stands
// there, but cannot count it; all other names, and status.hard, are the host's.
//
// Three write the status: the host's controller, the admission of
// garret-apiserver, which adds what it lets in before that is stored, and this
// one. Each writes with the resourceVersion that it read, so none undoes what
// another did. What is used is raised at once, and lowered only when the quota has
// not changed for a while: what admission let in meanwhile may not be stored yet,
// and counting it as free would let in more than the limit.
package quota

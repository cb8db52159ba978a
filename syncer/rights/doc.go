// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rights finds out which rights on the host a syncer lacks for what is switched on.
//
// Without the right to list a kind, its cache never fills, and the syncer would wait for it in
// silence; without another right, each write of a kind fails. So the package asks the host at
// the start, and again after each refusal. A condition then names the missing rights, and who
// can grant them.
//
// It compares the rules that the host has for the syncer with those that the syncer needs,
// which is one request. It asks one by one for what these do not show.
package rights

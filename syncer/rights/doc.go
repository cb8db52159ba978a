// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rights tells which rights on the host a syncer lacks for what is switched on.
//
// Without the right to list a kind its cache never fills, and the syncer would wait for
// it in silence; without another one each write of a kind fails. So the host is asked:
// at the start, and again whenever it has refused something. What is missing becomes the
// reason of a condition, with who can grant it.
//
// It compares the rules that the host has for the syncer with those that the syncer
// needs, which is one request. What these do not show is asked for one by one.
package rights

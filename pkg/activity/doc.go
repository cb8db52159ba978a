// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package activity writes down when virtual clusters were last used, as
// status.lastActivityTime.
//
// The first use is written at once, so that it is not lost with this process. While use
// goes on, and once after it has ended, it is written again, at most once a minute. No
// replica of garret-apiserver knows what others are about to write, but each sees what
// they have written: who finds a time that is not its own waits for two minutes from
// there. So all replicas together write at most once a minute, and what is written may be
// two minutes older than the last use.
//
// To note a use costs a look into a map and a store: it happens on every request.
package activity

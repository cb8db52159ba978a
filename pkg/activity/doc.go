// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package activity records when somebody last used each virtual cluster, as
// status.lastActivityTime.
//
// It writes the first use at once, so that this process cannot lose it. While use continues,
// and once after its end, it writes again, at most once a minute. No replica of
// garret-apiserver knows what others are about to write, but each sees what they have written.
// A replica that finds another one's time waits for two minutes from there. So all replicas
// together write at most once a minute, and the recorded time may be two minutes older than the
// last use.
//
// Noting a use costs one map lookup and one store, because it happens on every request.
package activity

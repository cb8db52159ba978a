// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance runs Kubernetes' own conformance suite in parts, and tells
// what came of it.
//
// A run belongs to a folder. Each part is a folder below it, with the log and the
// report that the suite wrote; a part that was interrupted counts for what it has
// reported. Who runs again runs what has not passed yet, so that a run can be
// spread over several sittings, and a failure looked at by itself.
package conformance

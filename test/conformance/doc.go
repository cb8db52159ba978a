// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance runs Kubernetes' own conformance suite in parts, and reports the results.
//
// A run belongs to a folder. Each part is a folder below it, with the log and the report that
// the suite wrote; a part that was interrupted counts for what it has reported. The next run
// only runs what has not passed yet, so that a run can take several sittings, and a person can
// examine a failure by itself.
package conformance

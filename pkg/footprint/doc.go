// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package footprint keeps small what a process that nobody uses holds in memory, and how often it
// wakes the processor.
//
// A start touches most pages of a large program once: it registers types, builds tables and
// reads lists. Those pages stay with the process, and count as its own, although it will hardly
// read them again. The heap likewise keeps room that only a busy process needs.
package footprint

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package virtualclustertemplate serves the resource virtualclustertemplates.
//
// A template that was accepted can be applied: what it says is judged here, when
// its author can still mend it, rather than when somebody uses it.
package virtualclustertemplate

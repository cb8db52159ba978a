// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package virtualclustertemplate serves the resource virtualclustertemplates.
//
// Every accepted template can be applied: this package checks it when its author can still fix
// it, rather than when somebody uses it.
package virtualclustertemplate

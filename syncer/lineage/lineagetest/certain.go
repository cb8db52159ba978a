// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lineagetest stands for package lineage where a test has no control plane.
package lineagetest

import "context"

// Certain takes all that is missing inside for deleted there.
type Certain struct{}

// Confirm finds the data inside as they were.
func (Certain) Confirm(context.Context) error { return nil }

// Carried leaves no checkpoint.
func (Certain) Carried() {}

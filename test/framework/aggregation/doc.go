// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package aggregation puts garret-apiserver behind a control plane of package
// framework: registered by an APIService, as its own ServiceAccount, with the
// rights that the install chart grants and no others, so that a right that is
// missing there fails a test.
package aggregation

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package hack pins the tools that generate code.
package hack

import _ "k8s.io/code-generator"

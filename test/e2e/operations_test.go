// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import "testing"

// TestOperations does to Garret itself what everybody notices, and looks at what
// becomes of a virtual cluster. No other test runs meanwhile: those that are
// parallel wait until the others are over.
func TestOperations(t *testing.T) {
	ns := shared.Namespace(t, "e2e-operations")
	shared.VirtualCluster(t, ns, "demo")
	t.Run("garret-apiserver is killed", func(t *testing.T) {
		killed(t, ns, part{"garret-apiserver", "garret-system", "app.kubernetes.io/name=garret-apiserver", ""})
	})
	t.Run("backup and restore", func(t *testing.T) { backupAndRestore(t, ns) })
	t.Run("gateway", func(t *testing.T) { gateway(t, ns) })
}

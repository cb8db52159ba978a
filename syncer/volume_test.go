// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCheckRoom fills a volume and frees it again.
func TestCheckRoom(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("garret-test", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mounting a volume takes an administrator: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	if err := checkRoom(dir); err != nil {
		t.Errorf("empty volume: got %v, want nil", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err == nil {
		t.Log("the volume took all that it has")
	}
	if err := checkRoom(dir); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("full volume: got %v, want an error that says so", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := checkRoom(dir); err != nil {
		t.Errorf("volume with room again: got %v, want nil", err)
	}
}

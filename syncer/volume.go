// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"fmt"
	"syscall"

	"k8s.io/apimachinery/pkg/api/resource"
)

// spareBytes is how much room a database needs to write at all, or a fiftieth of
// the volume where that is less.
const spareBytes = 16 << 20

// checkRoom is an error while the volume at the directory is full. The API server
// inside goes on answering reads then, and says that it is ready.
func checkRoom(dir string) error {
	var volume syscall.Statfs_t
	if err := syscall.Statfs(dir, &volume); err != nil {
		return fmt.Errorf("volume of the control plane: %w", err)
	}
	size, free := volume.Blocks*uint64(volume.Bsize), volume.Bavail*uint64(volume.Bsize)
	if free >= min(spareBytes, size/50) {
		return nil
	}
	amount := func(bytes uint64) string {
		return resource.NewQuantity(int64(bytes>>20<<20), resource.BinarySI).String()
	}
	return fmt.Errorf("the volume of the control plane is full, so it cannot write: %s of %s are free. Delete objects inside, or enlarge the volume", amount(free), amount(size))
}

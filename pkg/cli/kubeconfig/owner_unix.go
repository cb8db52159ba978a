// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package kubeconfig

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives the new file to the owner of the one that it replaces: with
// sudo, a user would lose the kubeconfig otherwise. Others than root own both.
func keepOwner(existing, replacement string) error {
	info, err := os.Stat(existing)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(replacement, int(stat.Uid), int(stat.Gid))
}

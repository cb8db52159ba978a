// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

// lock is an exclusive hold on a data directory. The kernel gives it free when
// the process ends, however it ends.
type lock struct{ file *os.File }

// acquire waits until no other process holds path, or until ctx ends. While a
// Deployment rolls, the old process may well live for some seconds.
func acquire(ctx context.Context, path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the data directory: %w", err)
	}
	told := false
	err = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			if !told {
				klog.FromContext(ctx).Info("waiting for another process to leave the data directory", "lock", path)
				told = true
			}
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: another garret-apiserver holds the data directory; "+
			"several replicas need --datastore-endpoint or --etcd-servers: %w", path, err)
	}
	return &lock{file: file}, nil
}

func (l *lock) release() {
	_ = l.file.Close()
}

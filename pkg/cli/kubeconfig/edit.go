// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// fileMode: a kubeconfig holds credentials.
	fileMode fs.FileMode = 0o600
	// lockInterval and lockTimeout bound the wait for another writer.
	lockInterval = 20 * time.Millisecond
	lockTimeout  = 5 * time.Second
)

// Edit changes one kubeconfig file. It is read only once the lock is held, and
// replaced by a rename; a change that alters nothing leaves the file alone. A
// file that does not exist is begun.
func Edit(ctx context.Context, file string, change func(*clientcmdapi.Config) error) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	unlock, err := lock(ctx, file)
	if err != nil {
		return err
	}
	defer unlock()

	config, err := clientcmd.LoadFromFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		config = clientcmdapi.NewConfig()
	case err != nil:
		return fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	before, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	if err := change(config); err != nil {
		return err
	}
	after, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	if err := replace(file, after); err != nil {
		return fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	return nil
}

// lock takes the lock that kubectl takes as well.
func lock(ctx context.Context, file string) (func(), error) {
	name := file + ".lock"
	var last error
	err := wait.PollUntilContextTimeout(ctx, lockInterval, lockTimeout, true, func(context.Context) (bool, error) {
		handle, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, fileMode)
		last = err
		switch {
		case err == nil:
			return true, handle.Close()
		case errors.Is(err, fs.ErrExist):
			return false, nil
		default:
			return false, err
		}
	})
	switch {
	case err == nil:
		return func() { _ = os.Remove(name) }, nil
	case errors.Is(last, fs.ErrExist) && ctx.Err() == nil:
		return nil, fmt.Errorf("kubeconfig %s is locked by another program; if none is running, remove %s", file, name)
	default:
		return nil, fmt.Errorf("locking kubeconfig %s: %w", file, err)
	}
}

// replace writes beside the file and renames over it. A symbolic link stays
// one, and the owner stays the owner where we may give files away.
func replace(file string, content []byte) error {
	target, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = file, nil
	}
	if err != nil {
		return err
	}
	// CreateTemp makes the file with mode 0600.
	temporary, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	if err := errors.Join(writeSynced(temporary, content), temporary.Close()); err != nil {
		return err
	}
	if err := keepOwner(target, temporary.Name()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), target)
}

func writeSynced(file *os.File, content []byte) error {
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.Sync()
}

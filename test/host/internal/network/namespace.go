// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// nsfsMagic is the file system type of a namespace file.
const nsfsMagic = 0x6e736673

// createNamespace makes a network namespace that is held by a mount at file.
// It reports false where there is one already.
func createNamespace(file string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(file, &st); err == nil && st.Type == nsfsMagic {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	if err := os.WriteFile(file, nil, 0o444); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return unix.Mount("/proc/thread-self/ns/net", file, "", unix.MS_BIND, "")
	})
	if err != nil {
		return false, fmt.Errorf("network namespace %s: %w", file, err)
	}
	return true, nil
}

// deleteNamespace lets go of a namespace; the kernel ends it, and every
// interface and rule in it, when its last process has gone.
func deleteNamespace(file string) error {
	if err := unix.Unmount(file, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("network namespace %s: %w", file, err)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Do calls fn on a thread inside the namespace. What fn starts, starts there
// too; goroutines that it spawns do not.
func Do(file string, fn func() error) error {
	ns, err := os.Open(file)
	if err != nil {
		return err
	}
	defer ns.Close()
	return onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", file, err)
		}
		return fn()
	})
}

// Members are the processes that are in the namespace.
func Members(file string) ([]int, error) {
	var ns unix.Stat_t
	if err := unix.Stat(file, &ns); err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", file, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		var of unix.Stat_t
		if err := unix.Stat(filepath.Join("/proc", entry.Name(), "ns", "net"), &of); err != nil {
			continue // it ended just now
		}
		if of.Dev == ns.Dev && of.Ino == ns.Ino {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// onThread runs fn on an operating system thread of its own, which ends with
// it: a thread that changed its namespace must never serve other goroutines.
//
// It is not the main thread, which the runtime cannot end. That one would stay in
// the namespace, and the whole process count among its members, who are killed
// when it is deleted.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// While this goroutine holds it, no other can get it.
			done <- onThread(fn)
			runtime.UnlockOSThread()
			return
		}
		done <- fn() // and never unlocked: the runtime ends the thread
	}()
	return <-done
}

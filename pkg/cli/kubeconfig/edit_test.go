// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func setCurrent(name string) func(*clientcmdapi.Config) error {
	return func(config *clientcmdapi.Config) error {
		config.CurrentContext = name
		return nil
	}
}

// Writers at once lose nothing, and a reader never meets half a file.
func TestEditTogether(t *testing.T) {
	_, names := write(t, hostFile)
	const writers = 16
	done := make(chan struct{})
	var reading, writing sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			config, err := clientcmd.LoadFromFile(names[0])
			if err != nil || config.AuthInfos["alice"] == nil {
				t.Errorf("a reader met an unfinished file: %v", err)
				return
			}
		}
	})
	for i := range writers {
		writing.Go(func() {
			edit := func() error {
				return Edit(t.Context(), names[0], func(config *clientcmdapi.Config) error {
					config.Contexts[fmt.Sprintf("context-%d", i)] = clientcmdapi.NewContext()
					return nil
				})
			}
			err := edit()
			// On a slow disk the others together may hold the lock for longer than one waits.
			for err != nil && strings.Contains(err.Error(), "locked by another program") {
				err = edit()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	config, err := clientcmd.LoadFromFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := len(config.Contexts); got != writers+1 {
		t.Errorf("%d contexts, want %d: a writer's change was lost", got, writers+1)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(names[0]), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v (%v)", left, err)
	}
	if _, err := os.Stat(names[0] + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock is still there: %v", err)
	}
}

func TestEditWaitsForTheLock(t *testing.T) {
	_, names := write(t, hostFile)
	lockFile := names[0] + ".lock"
	if err := os.WriteFile(lockFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	finished := make(chan error, 1)
	go func() { finished <- Edit(t.Context(), names[0], setCurrent("changed")) }()
	select {
	case err := <-finished:
		t.Fatalf("did not wait for the lock: %v", err)
	default:
	}
	if strings.Contains(read(t, names[0]), "changed") {
		t.Fatal("changed a locked file")
	}
	if err := os.Remove(lockFile); err != nil {
		t.Fatal(err)
	}
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read(t, names[0]), "current-context: changed") {
		t.Error("not changed after the lock was gone")
	}
}

func TestEditGivesUpWhenInterrupted(t *testing.T) {
	_, names := write(t, hostFile)
	if err := os.WriteFile(names[0]+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Edit(ctx, names[0], setCurrent("changed")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	if _, err := os.Stat(names[0] + ".lock"); err != nil {
		t.Errorf("another's lock was removed: %v", err)
	}
}

func TestEditKeepsASymbolicLink(t *testing.T) {
	_, names := write(t, hostFile)
	link := filepath.Join(t.TempDir(), "config")
	if err := os.Symlink(names[0], link); err != nil {
		t.Fatal(err)
	}
	if err := Edit(t.Context(), link, setCurrent("changed")); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(link); err != nil || target != names[0] {
		t.Errorf("the link is now %q (%v)", target, err)
	}
	if !strings.Contains(read(t, names[0]), "current-context: changed") {
		t.Error("the file behind the link was not changed")
	}
}

func TestEditBeginsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "config")
	if err := Edit(t.Context(), file, setCurrent("first")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v (%v), want 0600", info, err)
	}
}

func TestEditKeepsTheFileOnError(t *testing.T) {
	_, names := write(t, hostFile)
	wanted := errors.New("no")
	err := Edit(t.Context(), names[0], func(config *clientcmdapi.Config) error {
		config.CurrentContext = "changed"
		return wanted
	})
	if !errors.Is(err, wanted) {
		t.Errorf("got error %v, want %v", err, wanted)
	}
	if read(t, names[0]) != hostFile {
		t.Error("the file was changed")
	}
}

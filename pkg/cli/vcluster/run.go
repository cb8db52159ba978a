// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"garret.dev/garret/pkg/cli/exit"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/kubeconfig"
)

// grace is how long a command has to end after it was asked to.
const grace = 10 * time.Second

// run executes a command whose KUBECONFIG leads into the virtual cluster. The user's
// own files follow in it, since the context refers to their user entry.
func (c *Commands) run(ctx context.Context, cluster *host.Cluster, link kubeconfig.Link, command []string) error {
	content, err := derived(cluster, link)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "garret-use-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	paths := append([]string{file}, cluster.Files.Paths()...)

	child := exec.CommandContext(ctx, command[0], command[1:]...)
	child.Env = append(os.Environ(), "KUBECONFIG="+strings.Join(paths, string(filepath.ListSeparator)))
	child.Stdin, child.Stdout, child.Stderr = c.Streams.In, c.Streams.Out, c.Streams.ErrOut
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	child.WaitDelay = grace
	err = child.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.ExitCode() > 0:
		// The command said itself what was wrong.
		return exit.HandOn(ended.ExitCode())
	case child.ProcessState != nil && child.ProcessState.Success():
		// It may have been interrupted, and have ended well all the same.
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return host.Misuse(err, "install %s, or give its path", command[0])
	case err != nil:
		return fmt.Errorf("%s: %w", command[0], err)
	}
	return nil
}

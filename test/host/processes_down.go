// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"garret.dev/garret/test/host/internal/cgroup"
	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/internal/instance"
	"garret.dev/garret/test/host/internal/mounts"
)

// downLimit is how long the processes of pods may take to die.
const downLimit = 30 * time.Second

// down takes away everything, going on past failures so that as much as
// possible goes; what could not be removed stays known to the state file.
func (p *processes) down(ctx context.Context) error {
	if p.state.Index == noIndex {
		return removeAllBut(p.state.Dir, "logs")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*downLimit)
	defer cancel()
	var errs []error
	// What would start or restart something goes first. Nothing is asked to
	// stop gently: no data is kept.
	names, err := p.procs.Names()
	errs = append(errs, err)
	for _, name := range startersFirst(names) {
		errs = append(errs, p.procs.Kill(ctx, name))
	}
	errs = append(errs, p.killShims(ctx), p.deleteGroups(ctx))
	for _, dir := range []string{p.host.Run, p.state.Dir} {
		errs = append(errs, mounts.Unmount(dir))
	}
	errs = append(errs, p.host.Net.Down(ctx))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := registry().Release(instance.Lease{Index: p.state.Index, Dir: p.host.Run}); err != nil {
		return err
	}
	return removeAllBut(p.state.Dir, "logs")
}

// startersFirst orders the names so that kubelets and runtimes come first.
func startersFirst(names []string) []string {
	var first, rest []string
	for _, name := range names {
		if strings.HasPrefix(name, component.Kubelet+"-") || strings.HasPrefix(name, component.Containerd+"-") {
			first = append(first, name)
		} else {
			rest = append(rest, name)
		}
	}
	return append(first, rest...)
}

// killShims ends the shims, which outlive their containerd by design. They are
// known by the socket of that containerd in their command line.
func (p *processes) killShims(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		pids, err := shims(p.host.Run)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("container shims %v do not end", pids)
		case <-ticker.C:
		}
	}
}

// shims lists the processes that were started with a containerd socket below
// the given folder.
func shims(run string) ([]int, error) {
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
		cmdline, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue // it ended just now
		}
		args := strings.Split(string(cmdline), "\x00")
		if !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") {
			continue
		}
		for i, arg := range args[:len(args)-1] {
			if arg == "-address" && strings.HasPrefix(args[i+1], run+"/") {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

func (p *processes) deleteGroups(ctx context.Context) error {
	groups, err := cgroup.Find()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	var errs []error
	for n := 1; n <= p.state.Nodes; n++ {
		errs = append(errs, groups.Delete(ctx, p.host.CgroupRoot(n)))
	}
	return errors.Join(errs...)
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"garret.dev/garret/test/host/internal/cgroup"
	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/internal/instance"
	"garret.dev/garret/test/host/internal/mounts"
	"garret.dev/garret/test/host/internal/network"
)

// downLimit is how long the processes of pods may take to die.
const downLimit = 30 * time.Second

// down takes away everything, going on past failures so that as much as
// possible goes; what could not be removed stays known to the state file.
func (p *processes) down(ctx context.Context) error {
	if p.state.Index == noIndex {
		return p.state.forget()
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
	errs = append(errs, p.killMembers(ctx), p.deleteGroups(ctx))
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
	return p.state.forget()
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

// killMembers ends whatever still runs in the nodes' networks: container
// shims, which outlive their containerd by design, pods on the node's network,
// and components whose record an untimely end kept from being written.
func (p *processes) killMembers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		var left []int
		for n := 1; n <= p.state.Nodes; n++ {
			pids, err := network.Members(p.host.Net.Namespace(n))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			left = append(left, pids...)
		}
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v do not end", left)
		case <-ticker.C:
		}
	}
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

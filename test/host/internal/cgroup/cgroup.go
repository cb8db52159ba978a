// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cgroup keeps one control group per node, so that two kubelets on one
// machine do not take each other's pods for leftovers, and so that all that
// ever ran in a pod is found when the node goes.
//
// Both layouts of the kernel are served: separate hierarchies per controller
// (v1, also in its hybrid form) and the single one (v2).
package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// poll is how often an ending group is looked at again.
const poll = 20 * time.Millisecond

// share is what a group gets of the processors beside the processes of the machine, each of
// which has the kernel's default. By that default, all pods of a node would have as much as
// one compiler beside them, and would not be ready in time.
const share = 4

// shares are the files that say so, by layout, with the kernel's default in each.
var shares = map[string]int{"cpu.shares": 1024, "cpu.weight": 100}

// Groups is where control groups are made.
type Groups struct {
	// Hierarchies are the mounted ones, Unified tells that the only one is v2.
	Hierarchies []string
	Unified     bool
	// Beside is the v2 hierarchy of the hybrid layout. It controls nothing,
	// but runc makes groups in it too.
	Beside string
}

// Find looks up how control groups are mounted on this machine.
func Find() (Groups, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return Groups{}, err
	}
	return parse(string(data))
}

func parse(mounts string) (Groups, error) {
	var v1, v2 []string
	scanner := bufio.NewScanner(strings.NewReader(mounts))
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 3 || !strings.HasPrefix(fields[1], "/sys/fs/cgroup") {
			continue
		}
		switch fields[2] {
		case "cgroup":
			v1 = append(v1, fields[1])
		case "cgroup2":
			v2 = append(v2, fields[1])
		}
	}
	switch {
	case len(v1) > 0 && len(v2) > 0:
		return Groups{Hierarchies: v1, Beside: v2[0]}, nil
	case len(v1) > 0:
		return Groups{Hierarchies: v1}, nil
	case len(v2) > 0:
		return Groups{Hierarchies: v2[:1], Unified: true}, nil
	}
	return Groups{}, errors.New("no control groups are mounted below /sys/fs/cgroup")
}

// Create makes the group in every hierarchy.
func (g Groups) Create(name string) error {
	for _, root := range g.Hierarchies {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("control group %s: %w", name, err)
		}
		if g.Unified {
			if err := delegate(root, dir); err != nil {
				return fmt.Errorf("control group %s: %w", name, err)
			}
		}
		for file, standard := range shares {
			path := filepath.Join(dir, file)
			if _, err := os.Stat(path); err != nil {
				continue // this hierarchy does not divide processors
			}
			if err := os.WriteFile(path, []byte(strconv.Itoa(share*standard)), 0o644); err != nil {
				return fmt.Errorf("control group %s: %w", name, err)
			}
		}
		if g.Unified {
			continue
		}
		// A fresh cpuset is empty, and nothing can be put into an empty one.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(root, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), value, 0o644)
			}
			if err != nil {
				return fmt.Errorf("control group %s: %w", name, err)
			}
		}
	}
	return nil
}

// delegate lets children of both groups use all controllers that there are.
func delegate(dirs ...string) error {
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for _, controller := range strings.Fields(string(data)) {
			err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			if err != nil {
				return fmt.Errorf("controller %s: %w", controller, err)
			}
		}
	}
	return nil
}

// Delete kills every process in the group and below it, and removes it.
func (g Groups) Delete(ctx context.Context, name string) error {
	if clean := filepath.Clean("/" + name); clean == "/" || strings.Contains(name, "..") {
		return fmt.Errorf("control group %q is not ours", name)
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		left := g.sweep(name)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("control group %s is not empty: %v", name, left)
		case <-ticker.C:
		}
	}
}

// sweep kills and removes what it can and returns what is left.
func (g Groups) sweep(name string) []string {
	roots := slices.Clone(g.Hierarchies)
	if g.Beside != "" {
		roots = append(roots, g.Beside)
	}
	var left []string
	for _, root := range roots {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs) // children first
		for _, dir := range dirs {
			for _, pid := range members(dir) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				left = append(left, dir)
			}
		}
	}
	return left
}

func members(dir string) []int {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

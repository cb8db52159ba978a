// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package host

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"garret.dev/garret/test/host/internal/mounts"
	"garret.dev/garret/test/host/internal/network"
)

// traces is what a cluster has on the machine. Only its own are looked at:
// other clusters may come and go meanwhile.
type traces struct {
	processes, mounts, links, groups, folders []string
}

func (c *testCluster) traces(t *testing.T) traces {
	t.Helper()
	plan := network.Plan{Index: c.state.Index}
	run := filepath.Join("/run/garret-host", strconv.Itoa(c.state.Index))
	var found traces
	found.processes = processesOf(t, c.options.Dir, run, "/garret-"+c.options.Name+"-node")
	for _, dir := range []string{c.options.Dir, run} {
		points, err := mounts.Below(dir)
		if err != nil {
			t.Fatal(err)
		}
		found.mounts = append(found.mounts, points...)
	}
	if _, err := net.InterfaceByName(plan.Link()); err == nil {
		found.links = append(found.links, plan.Link())
	}
	routes, err := exec.Command("ip", "route", "show", "root", plan.Whole().String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	found.links = append(found.links, strings.FieldsFunc(string(routes), func(r rune) bool { return r == '\n' })...)
	for _, depth := range []string{"*", "*/*"} {
		groups, err := filepath.Glob("/sys/fs/cgroup/" + depth)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range groups {
			if strings.HasPrefix(filepath.Base(group), "garret-"+c.options.Name+"-node") {
				found.groups = append(found.groups, group)
			}
		}
	}
	for _, dir := range []string{run, filepath.Join(c.options.Dir, "etcd"), filepath.Join(c.options.Dir, "node1"), stateFile(c.options.Dir)} {
		if _, err := os.Stat(dir); err == nil {
			found.folders = append(found.folders, dir)
		}
	}
	return found
}

// processesOf lists processes that name one of the folders in their command
// line, or that are in a control group whose path holds the given part.
func processesOf(t *testing.T, dir, run, group string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		// What has ended meanwhile reads as nothing. So do zombies, which have
		// no command line, and are whoever's task who adopted them.
		cmdline, _ := os.ReadFile(filepath.Join(entry, "cmdline"))
		groups, _ := os.ReadFile(filepath.Join(entry, "cgroup"))
		line := strings.ReplaceAll(string(cmdline), "\x00", " ")
		if line == "" {
			continue
		}
		if strings.Contains(line, dir) || strings.Contains(line, run+"/") || strings.Contains(string(groups), group) {
			found = append(found, filepath.Base(entry)+" "+line)
		}
	}
	return found
}

// testLeavesNothing takes the cluster down and looks for what remains.
func testLeavesNothing(t *testing.T, c *testCluster, rulesBefore string) {
	up := c.traces(t)
	for what, found := range map[string][]string{"processes": up.processes, "mounts": up.mounts, "links": up.links, "groups": up.groups, "folders": up.folders} {
		if len(found) == 0 {
			t.Errorf("%s: found none of a cluster that is up, so the search is wrong", what)
		}
	}
	if err := c.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	down := c.traces(t)
	for what, found := range map[string][]string{"processes": down.processes, "mounts": down.mounts, "links": down.links, "groups": down.groups, "folders": down.folders} {
		if len(found) > 0 {
			t.Errorf("%s after down: got %q, want none", what, found)
		}
	}
	if got := rules(t); got != rulesBefore {
		t.Errorf("packet filter of the machine: got\n%s\nwant\n%s", got, rulesBefore)
	}
	if _, err := Open(c.options.Dir); !os.IsNotExist(err) && err == nil {
		t.Error("after down: got a cluster, want none")
	}
}

// counters are of what passed a chain.
var counters = regexp.MustCompile(`\[\d+:\d+\]`)

// rules are those of the machine's own packet filter.
func rules(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("iptables-save").Output()
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") { // the time
			kept = append(kept, counters.ReplaceAllString(line, ""))
		}
	}
	return strings.Join(kept, "")
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net/netip"
	"slices"
	"testing"
)

func TestPlanRangesAreApart(t *testing.T) {
	for _, index := range []int{0, 1, MaxInstances - 1} {
		p := Plan{Index: index}
		ranges := []netip.Prefix{p.NodeNet(), p.PodNet(), p.ServiceNet()}
		for i, a := range ranges {
			if !p.Whole().Contains(a.Addr()) || a.Bits() < p.Whole().Bits() {
				t.Errorf("instance %d: %s does not lie in %s", index, a, p.Whole())
			}
			for _, b := range ranges[i+1:] {
				if a.Overlaps(b) {
					t.Errorf("instance %d: %s overlaps %s", index, a, b)
				}
			}
		}
		for _, addr := range []netip.Addr{p.DNS(), p.APIService()} {
			if !p.ServiceNet().Contains(addr) {
				t.Errorf("instance %d: %s is no address of a service", index, addr)
			}
		}
		for n := 1; n <= MaxNodes; n++ {
			if !p.NodeNet().Contains(p.Node(n)) {
				t.Errorf("instance %d: node %d at %s is not in %s", index, n, p.Node(n), p.NodeNet())
			}
			if !p.PodNet().Overlaps(p.NodePodNet(n)) || n > 1 && p.NodePodNet(n).Overlaps(p.NodePodNet(n-1)) {
				t.Errorf("instance %d: pods of node %d have %s", index, n, p.NodePodNet(n))
			}
		}
		if len(p.Link()) > 15 {
			t.Errorf("instance %d: %q is too long for an interface", index, p.Link())
		}
	}
	if a, b := (Plan{Index: 3}), (Plan{Index: 4}); a.Whole().Overlaps(b.Whole()) {
		t.Errorf("instances: %s overlaps %s", a.Whole(), b.Whole())
	}
}

func TestRoutes(t *testing.T) {
	w := Network{Plan: Plan{Index: 1}}
	for name, tt := range map[string]struct{ got, want []string }{
		"a lone node reaches services":  {w.nodeRoutes(1, 1), []string{"route replace 10.201.128.0/18 dev eth0"}},
		"nodes reach each other's pods": {w.nodeRoutes(2, 3), []string{"route replace 10.201.128.0/18 dev eth0", "route replace 10.201.65.0/24 via 10.201.0.11", "route replace 10.201.67.0/24 via 10.201.0.13"}},
		"the machine reaches pods and services": {w.machineRoutes(2), []string{
			"route replace 10.201.128.0/18 via 10.201.0.11",
			"route replace 10.201.65.0/24 via 10.201.0.11", "route replace 10.201.66.0/24 via 10.201.0.12"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, tt.got, tt.want)
		}
	}
}

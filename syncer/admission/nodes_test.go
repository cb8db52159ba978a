// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/syncer/egress"
)

// hostAddresses are a host with one node, which is its API server.
type hostAddresses struct{}

func (hostAddresses) Has(context.Context, netip.AddrPort) (bool, error) { return false, nil }
func (hostAddresses) Hosts(_ context.Context, address netip.Addr) bool {
	return address == netip.MustParseAddr("192.168.5.9")
}

func nodes() *Nodes {
	return &Nodes{
		Kubelet: netip.MustParseAddrPort("10.32.0.2:10250"),
		Bounds:  egress.Bounds{Own: hostAddresses{}, Itself: []netip.Addr{netip.MustParseAddr("10.32.0.2"), netip.MustParseAddr("10.96.0.20")}},
	}
}

// node is one with those addresses: pairs of a type and an address.
func node(port int32, addresses ...string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = port
	for i := 0; i < len(addresses); i += 2 {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeAddressType(addresses[i]), Address: addresses[i+1]})
	}
	return node
}

// TestNodes writes Nodes of all kinds.
func TestNodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		node *corev1.Node
		// want is part of the refusal; empty, if there is to be none.
		want string
	}{
		"the syncer's own":              {node(10250, "InternalIP", "192.168.5.9", "InternalDNS", "10.32.0.2", "Hostname", "node"), ""},
		"the syncer's on a host of two": {node(10250, "InternalIP", "192.168.5.9", "InternalIP", "fd12::9", "InternalDNS", "10.32.0.2", "Hostname", "node"), ""},
		"with no address yet":           {node(0), ""},
		"a simulated one":               {node(10247, "InternalIP", "10.32.0.7", "Hostname", "node"), ""},
		"port left out":                 {node(0, "InternalIP", "10.32.0.2"), ""},

		"loopback":                  {node(6443, "InternalIP", "127.0.0.1"), "loopback"},
		"loopback, mapped":          {node(6443, "InternalIP", "::ffff:127.0.0.1"), "loopback"},
		"loopback of IPv6":          {node(6443, "ExternalIP", "::1"), "loopback"},
		"unspecified":               {node(6443, "InternalIP", "0.0.0.0"), "loopback"},
		"metadata":                  {node(80, "InternalIP", "169.254.169.254"), "metadata"},
		"multicast":                 {node(80, "InternalIP", "224.0.0.1"), "loopback, link-local"},
		"API server inside":         {node(6443, "InternalIP", "10.32.0.2"), "port 10250"},
		"issuer by InternalDNS":     {node(8443, "InternalDNS", "10.32.0.2"), "port 10250"},
		"API server by its Service": {node(443, "InternalIP", "10.96.0.20"), "own control plane"},
		"kubelet of the host":       {node(10250, "InternalIP", "192.168.5.9"), "the host's API server or one of its nodes"},
		"kubelet of the host first": {node(10250, "InternalDNS", "192.168.5.9"), "InternalDNS"},
		"another InternalDNS first": {node(10250, "InternalDNS", "10.32.0.7", "InternalDNS", "10.32.0.2", "InternalIP", "192.168.5.9"), "one of its nodes"},
		"a name":                    {node(6443, "InternalDNS", "vc-demo.team.svc"), "addresses only"},
		"a name outside":            {node(6443, "ExternalDNS", "kubernetes.default.svc"), "addresses only"},
		"another's Hostname":        {node(6443, "Hostname", "kubernetes.default.svc"), "must be the name of the Node"},
		"an address as Hostname":    {node(6443, "Hostname", "127.0.0.1"), "loopback"},
		"a number as an address":    {node(6443, "InternalIP", "2130706433"), "usual form"},
		"a name as an address":      {node(6443, "InternalIP", "localhost"), "usual form"},
		"good and bad":              {node(10250, "InternalIP", "10.32.0.7", "ExternalIP", "127.0.0.1"), "status.addresses[1]"},
	} {
		err := nodes().admit(t.Context(), c.node, nil)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v, want nothing against it", name, err)
		case c.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want it refused with %q", name, err, c.want)
		}
	}
	named := node(6443, "Hostname", "localhost")
	named.Name = "localhost"
	if err := nodes().admit(t.Context(), named, nil); !apierrors.IsInvalid(err) {
		t.Errorf("a node called localhost: got %v, want it refused", err)
	}
	// What was written before, as before an upgrade, can be cordoned and taken away.
	old := node(6443, "InternalIP", "127.0.0.1")
	cordoned := old.DeepCopy()
	cordoned.Spec.Unschedulable = true
	if err := nodes().admit(t.Context(), cordoned, old); err != nil {
		t.Errorf("cordon of a node that is there: got %v, want nothing against it", err)
	}
	moved := old.DeepCopy()
	moved.Status.DaemonEndpoints.KubeletEndpoint.Port = 10257
	if err := nodes().admit(t.Context(), moved, old); err == nil {
		t.Error("another port of a node that is there: got nothing against it")
	}
}

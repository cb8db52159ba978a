// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// own is a virtual cluster with one pod and one Service, on a host with one node.
type own struct{ err error }

func (o own) Has(_ context.Context, target netip.AddrPort) (bool, error) {
	return target.Addr() == netip.MustParseAddr("10.32.0.7") || target == netip.MustParseAddrPort("10.96.0.70:443"), o.err
}

func (own) Hosts(_ context.Context, address netip.Addr) bool {
	return address == netip.MustParseAddr("203.0.114.9") || address == netip.MustParseAddr("192.168.5.9")
}

// names resolves what it knows, and counts how often.
type names struct {
	known map[string][]string
	asked int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked++
	texts, known := n.known[host]
	if !known {
		return nil, errors.New("no such host")
	}
	var found []netip.Addr
	for _, text := range texts {
		found = append(found, netip.MustParseAddr(text))
	}
	return found, nil
}

func bounds() Bounds {
	return Bounds{
		Own: own{}, Itself: []netip.Addr{netip.MustParseAddr("10.32.0.2"), netip.MustParseAddr("10.96.0.20")}, Public: true,
		Allowed: prefixes("192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "10.96.5.5/32", "10.96.0.0/12"), Closed: prefixes("10.96.0.0/16", "8.8.8.0/24"),
	}
}

// TestDoors asks both doors for what is to be had through them, and for what a tenant would like to have.
func TestDoors(t *testing.T) {
	t.Parallel()
	resolver := &names{known: map[string][]string{
		"hooks.example.com": {"1.1.1.1"}, "localhost": {"127.0.0.1"}, "metadata.google.internal": {"169.254.169.254"},
		"kubernetes.default.svc": {"10.96.0.1"}, "mixed.example.com": {"10.32.0.8", "1.1.1.1"}, "mapped.example.com": {"::ffff:127.0.0.1"},
	}}
	cluster := &Door{Bounds: bounds(), Syncer: netip.MustParseAddrPort("10.32.0.2:10250")}
	plane := &Door{Bounds: bounds(), Syncer: netip.MustParseAddrPort("127.0.0.1:9443"), Resolver: resolver}
	const open, refused = "", "refused"
	for _, c := range []struct {
		what, target string
		// cluster and plane are what the doors say: open, or part of the refusal.
		cluster, plane string
	}{
		{"own pod", "10.32.0.7:8080", open, open},
		{"own pod, mapped", "[::ffff:10.32.0.7]:8080", open, open},
		{"own Service", "10.96.0.70:443", open, open},
		{"own Service's other port", "10.96.0.70:80", "in a range of the host", "in a range of the host"},
		{"virtual kubelet", "10.32.0.2:10250", open, "own control plane"},
		{"syncer's webhook", "127.0.0.1:9443", "loopback", open},
		{"a range that is open", "192.168.1.1:443", open, open},

		{"a part of a closed range", "10.96.5.5:443", open, open},

		{"API server inside", "10.32.0.2:6443", "own control plane", "own control plane"},
		{"issuer", "10.32.0.2:8443", "own control plane", "own control plane"},
		{"health of the syncer", "10.32.0.2:8080", "own control plane", "own control plane"},
		{"API server inside by its Service", "10.96.0.20:443", "own control plane", "own control plane"},
		{"controller manager on loopback", "127.0.0.1:10257", "loopback", "loopback"},
		{"API server on loopback", "127.0.0.1:6443", "loopback", "loopback"},
		{"webhook by another loopback", "127.0.0.2:9443", "loopback", "loopback"},
		{"loopback of IPv6", "[::1]:6443", "loopback", "loopback"},
		{"loopback, mapped", "[::ffff:127.0.0.1]:6443", "loopback", "loopback"},
		{"loopback, compatible", "[::127.0.0.1]:6443", "loopback", "loopback"},
		{"loopback by NAT64", "[64:ff9b::7f00:1]:6443", "loopback", "loopback"},
		{"loopback by 6to4", "[2002:7f00:1::]:6443", "loopback", "loopback"},
		{"unspecified", "0.0.0.0:6443", "loopback", "loopback"},
		{"unspecified of IPv6", "[::]:6443", "loopback", "loopback"},
		{"the network zero", "0.1.2.3:6443", "loopback", "loopback"},
		{"metadata", "169.254.169.254:80", "metadata", "metadata"},
		{"metadata, mapped", "[::ffff:a9fe:a9fe]:80", "metadata", "metadata"},
		{"metadata of IPv6", "[fd00:ec2::254]:80", "metadata", "metadata"},
		{"a cloud's host agent", "168.63.129.16:80", "metadata", "metadata"},
		{"link-local", "[fe80::1]:80", "link-local", "link-local"},
		{"link-local with a zone", "[fe80::1%eth0]:80", "zone", "zone"},
		{"multicast", "224.0.0.1:80", refused, refused},
		{"broadcast", "255.255.255.255:80", refused, refused},
		{"host's API server", "10.96.0.1:443", "in a range of the host", "in a range of the host"},
		{"host's API server, public", "203.0.114.9:443", "the host's API server", "the host's API server"},
		{"kubelet of a node in an open range", "192.168.5.9:10250", "one of its nodes", "one of its nodes"},
		{"neighbour's pod", "10.32.0.8:80", "belongs to no pod", "belongs to no pod"},
		{"neighbour's Service", "10.96.0.71:443", "in a range of the host", "in a range of the host"},
		{"shared address space", "100.64.0.1:80", "belongs to no pod", "belongs to no pod"},
		{"unique local", "[fd12::1]:80", "belongs to no pod", "belongs to no pod"},
		{"public", "1.1.1.1:443", "is public", open},
		{"public, IPv6", "[2606:4700::1]:443", "is public", open},
		{"public, but the host's", "8.8.8.8:443", "in a range of the host", "in a range of the host"},

		{"name", "hooks.example.com:443", "is a name", open},
		{"localhost", "localhost:9443", "is a name", open},
		{"localhost, another port", "localhost:10257", "is a name", "loopback"},
		{"metadata by name", "metadata.google.internal:80", "is a name", "metadata"},
		{"host's API server by name", "kubernetes.default.svc:443", "is a name", "in a range of the host"},
		{"loopback by a mapped address of a name", "mapped.example.com:6443", "is a name", "loopback"},
		{"one of two addresses", "mixed.example.com:443", "is a name", open},
		{"decimal", "2130706433:443", "is a name", "neither a name nor an address"},
		{"hexadecimal", "0x7f000001:443", "is a name", "neither a name nor an address"},
		{"short", "127.1:443", "is a name", "neither a name nor an address"},
		{"octal", "0177.0.0.1:443", "is a name", "neither a name nor an address"},
		{"trailing dot", "127.0.0.1.:443", "is a name", "neither a name nor an address"},
		{"no port", "10.32.0.7", "HOST:PORT", "HOST:PORT"},
		{"port zero", "10.32.0.7:0", "not a port", "not a port"},
		{"port too large", "10.32.0.7:65536", "not a port", "not a port"},
		{"nothing", "", "HOST:PORT", "HOST:PORT"},
	} {
		for name, check := range map[string]struct {
			door *Door
			want string
		}{"cluster": {cluster, c.cluster}, "controlplane": {plane, c.plane}} {
			targets, err := check.door.Open(t.Context(), c.target)
			var refusal Refusal
			switch {
			case check.want == open && (err != nil || len(targets) != 1):
				t.Errorf("%s by %s: got %v, %v, want one target", c.what, name, targets, err)
			case check.want == open:
				if err := check.door.judge(t.Context(), targets[0]); err != nil {
					t.Errorf("%s by %s: target %s: %v", c.what, name, targets[0], err)
				}
			case !errors.As(err, &refusal):
				t.Errorf("%s by %s: got %v, %v, want a refusal", c.what, name, targets, err)
			case check.want != refused && !strings.Contains(err.Error(), check.want):
				t.Errorf("%s by %s: got %q, want it to say %q", c.what, name, err, check.want)
			}
		}
	}
}

// TestClosedToTheWorld has public egress off: no name is even looked up.
func TestClosedToTheWorld(t *testing.T) {
	t.Parallel()
	resolver := &names{known: map[string][]string{"hooks.example.com": {"1.1.1.1"}}}
	door := &Door{Bounds: bounds(), Resolver: resolver}
	door.Public, door.Allowed = false, nil
	for _, target := range []string{"1.1.1.1:443", "hooks.example.com:443"} {
		if targets, err := door.Open(t.Context(), target); err == nil || !strings.Contains(err.Error(), "spec.isolation.networkPolicy.publicEgress") {
			t.Errorf("%s: got %v, %v, want a refusal that names the field", target, targets, err)
		}
	}
	if resolver.asked != 0 {
		t.Errorf("names looked up: got %d, want none", resolver.asked)
	}
	if targets, err := door.Open(t.Context(), "10.32.0.7:80"); err != nil {
		t.Errorf("own pod: got %v, %v, want it open", targets, err)
	}
}

// TestNameIsResolvedOnce has a name that stands for something else the second time.
func TestNameIsResolvedOnce(t *testing.T) {
	t.Parallel()
	resolver := &names{known: map[string][]string{"rebind.example.com": {"1.1.1.1"}}}
	door := &Door{Bounds: bounds(), Resolver: resolver}
	targets, err := door.Open(t.Context(), "rebind.example.com:443")
	if err != nil || len(targets) != 1 || targets[0] != netip.MustParseAddrPort("1.1.1.1:443") || resolver.asked != 1 {
		t.Errorf("got %v, %v after %d lookups, want the address that was judged, after one", targets, err, resolver.asked)
	}
}

// TestUnknownOwner has the host not answer: the door stays closed, and no rule is blamed.
func TestUnknownOwner(t *testing.T) {
	t.Parallel()
	door := &Door{Bounds: bounds()}
	door.Own = own{err: errors.New("the host is away")}
	_, err := door.Open(t.Context(), "1.1.1.1:443")
	var refusal Refusal
	if err == nil || errors.As(err, &refusal) {
		t.Errorf("got %v, want an error that is no refusal", err)
	}
}

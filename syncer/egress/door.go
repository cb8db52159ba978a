// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// lift is what the host's administrator can do about a refusal.
const lift = "the host's administrator can open it in spec.isolation.egressRanges of the HostCluster"

// Refusal is why a door stays closed, in words for the tenant.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, arguments ...any) error { return Refusal(fmt.Sprintf(format, arguments...)) }

// Bounds are what both doors have in common.
type Bounds struct {
	// Own knows what on the host belongs to the virtual cluster.
	Own Own
	// Itself are the addresses of the control plane's own pod and Service.
	Itself []netip.Addr
	// Public says whether public addresses may be reached.
	Public bool
	// Allowed are ranges that the host's administrator opened. Closed are the host's own,
	// which neither public egress nor a wider range of the former opens.
	Allowed, Closed []netip.Prefix
}

// Own is what a virtual cluster has on the host.
type Own interface {
	// Has says whether a pod of the virtual cluster has the address, or a Service the
	// address with the port.
	Has(ctx context.Context, target netip.AddrPort) (bool, error)
	// Hosts says whether the address is one of the host's: of its API server, or of a node.
	Hosts(ctx context.Context, address netip.Addr) bool
}

// Door decides which connections of one kind may be made.
type Door struct {
	Bounds
	// Syncer is the one address at which the syncer itself is reached.
	Syncer netip.AddrPort
	// Resolver resolves names; without one, they are refused.
	Resolver Resolver
}

// Resolver is a net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Open returns the addresses to dial for what the API server asked for, which is
// HOST:PORT. The error is a Refusal where a rule stands against it.
func (d *Door) Open(ctx context.Context, asked string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(asked)
	if err != nil {
		return nil, refuse("%.100q is not HOST:PORT", asked)
	}
	number, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || number == 0 {
		return nil, refuse("%.20q is not a port", portText)
	}
	port := uint16(number)
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return nil, refuse("%s has a zone, and neither pods nor Services have one", host)
		}
		target := netip.AddrPortFrom(address.Unmap(), port)
		if err := d.judge(ctx, target); err != nil {
			return nil, err
		}
		return []netip.AddrPort{target}, nil
	}
	return d.resolve(ctx, host, port)
}

// resolve returns those of a name's addresses that may be dialled, or why none may.
func (d *Door) resolve(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	switch {
	case d.Resolver == nil:
		return nil, refuse("%.100q is a name, and here the API server may connect only to addresses of this virtual cluster's pods and Services; "+
			"a webhook reaches a public server by clientConfig.url", host)
	case !d.Public && len(d.Allowed) == 0:
		return nil, refuse("%.100q is a name outside the virtual cluster, and public egress is off: turn it on in "+
			"spec.isolation.networkPolicy.publicEgress of the VirtualCluster; a webhook reaches a Service inside by clientConfig.service", host)
	case Numeric(host):
		return nil, refuse("%.100q is neither a name nor an address in its usual form", host)
	}
	addresses, err := d.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var targets []netip.AddrPort
	var first error
	for _, address := range addresses {
		target := netip.AddrPortFrom(address.Unmap().WithZone(""), port)
		err := d.judge(ctx, target)
		if err == nil && !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
		if err != nil && first == nil {
			first = fmt.Errorf("%.100s: %w", host, err)
		}
	}
	if len(targets) == 0 && first == nil {
		return nil, refuse("%.100q has no address", host)
	}
	if len(targets) == 0 {
		return nil, first
	}
	return targets, nil
}

// Numeric says whether a host looks like one of the old forms of an IPv4 address,
// such as 2130706433, 0x7f.1 or 127.1, which no name of DNS does.
func Numeric(host string) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := strings.ToLower(labels[len(labels)-1])
	return last == "" || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

// Shut returns why the address is closed whatever ranges are open: a Refusal, or nothing.
func (b *Bounds) Shut(ctx context.Context, address netip.Addr) error {
	switch {
	case within(local, address):
		return refuse("%s is loopback, link-local or metadata: no virtual cluster may reach it, and no setting opens it", address)
	case slices.Contains(b.Itself, address):
		return refuse("%s is this virtual cluster's own control plane, and no setting opens it; a webhook reaches the API server as Service default/kubernetes", address)
	case b.Own.Hosts(ctx, address):
		return refuse("%s is the host's API server or one of its nodes, and no setting opens it", address)
	}
	return nil
}

// judge returns why the target may not be dialled, if so.
func (d *Door) judge(ctx context.Context, target netip.AddrPort) error {
	if target == d.Syncer {
		return nil
	}
	address := target.Addr()
	if err := d.Shut(ctx, address); err != nil {
		return err
	}
	own, err := d.Own.Has(ctx, target)
	switch {
	case err != nil:
		return fmt.Errorf("the host does not answer now who has the address %s: %w", target, err)
	case own:
		return nil
	case longest(d.Allowed, address) > longest(d.Closed, address):
		return nil
	case within(d.Closed, address):
		return refuse("%s is in a range of the host, and belongs to no pod of this virtual cluster; no Service with a selector has this address and port; %s", target, lift)
	case !public(address):
		return refuse("%s belongs to no pod of this virtual cluster; no Service with a selector has this address and port; %s", target, lift)
	case d.Resolver == nil:
		return refuse("%s is public, and the API server may connect only to public addresses in a webhook's clientConfig.url; %s", address, lift)
	case !d.Public:
		return refuse("%s is public, and public egress is off: turn it on in spec.isolation.networkPolicy.publicEgress of the VirtualCluster", address)
	}
	return nil
}

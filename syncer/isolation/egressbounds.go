// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// portAPI is where the API server inside listens, and portService where its Service does.
	portAPI, portService = 6443, 443
)

// EgressBounds are the rules by which the release lets workloads out. What a policy
// of a tenant opens is the part of it that they open, too. Nil bounds nothing.
type EgressBounds struct {
	rules []networkingv1.NetworkPolicyEgressRule
	// api are the addresses of the API server inside.
	api []netip.Addr
}

// ParseEgressBounds reads the rules from JSON; an empty text is no bounds. The addresses are
// those of the API server inside, which a tenant knows it by.
func ParseEgressBounds(text string, api ...string) (*EgressBounds, error) {
	if text == "" {
		return nil, nil
	}
	bounds := &EgressBounds{rules: []networkingv1.NetworkPolicyEgressRule{}}
	if err := json.Unmarshal([]byte(text), &bounds.rules); err != nil {
		return nil, fmt.Errorf("egress rules: %w", err)
	}
	for _, text := range api {
		if address, err := netip.ParseAddr(text); err == nil {
			bounds.api = append(bounds.api, address)
		}
	}
	return bounds, nil
}

// Narrow returns the part of the rules that is within the bounds. Their peers are pods of
// the virtual cluster, by labels on the host, and ranges. Closed are the ranges of which
// nothing is left at some of the rule's ports, such as metadata, where DNS alone is open.
func (b *EgressBounds) Narrow(rules []networkingv1.NetworkPolicyEgressRule) (within []networkingv1.NetworkPolicyEgressRule, closed []string) {
	if b == nil {
		return rules, nil
	}
	for _, rule := range rules {
		left := make([]bool, len(rule.To))
		for _, bound := range b.rules {
			if part, some := b.narrow(rule, bound, left); some {
				within = append(within, part)
			}
		}
		for i, peer := range rule.To {
			if peer.IPBlock != nil && !left[i] && !slices.Contains(closed, peer.IPBlock.CIDR) {
				closed = append(closed, peer.IPBlock.CIDR)
			}
		}
	}
	return within, closed
}

// narrow is the part of one rule that one of the bounds has. It notes the peers that keep
// all ports of the rule.
func (b *EgressBounds) narrow(rule, bound networkingv1.NetworkPolicyEgressRule, left []bool) (networkingv1.NetworkPolicyEgressRule, bool) {
	part := networkingv1.NetworkPolicyEgressRule{}
	ports, some := portsWithin(rule.Ports, bound.Ports)
	if !some {
		return part, false
	}
	part.Ports = ports
	whole := len(bound.Ports) == 0 || allPortsWithin(rule.Ports, bound.Ports)
	if len(rule.To) == 0 {
		part.To = bound.To
		return part, true
	}
	if len(bound.To) == 0 {
		for i := range left {
			left[i] = left[i] || whole
		}
		part.To = rule.To
		return part, true
	}
	for i, peer := range rule.To {
		for _, other := range bound.To {
			if both, some := b.peerWithin(peer, other); some {
				part.To = append(part.To, both)
				// The API inside has no other port that a workload could mean.
				left[i] = left[i] || whole || peer.IPBlock != nil && both.IPBlock == nil
			}
		}
	}
	return part, len(part.To) > 0
}

// peerWithin is what both peers are. Addresses of pods are not known here, but for those of
// the API server inside, which is the one peer of the bounds that is a pod and no workload.
func (b *EgressBounds) peerWithin(peer, bound networkingv1.NetworkPolicyPeer) (networkingv1.NetworkPolicyPeer, bool) {
	none := networkingv1.NetworkPolicyPeer{}
	switch {
	case peer.IPBlock != nil && bound.IPBlock != nil:
		block, some := blockWithin(*peer.IPBlock, *bound.IPBlock)
		return networkingv1.NetworkPolicyPeer{IPBlock: &block}, some
	case peer.IPBlock != nil:
		isAPI := bound.NamespaceSelector == nil && bound.PodSelector != nil && bound.PodSelector.MatchLabels[tenancyv1.LabelCluster] == ""
		return bound, isAPI && slices.ContainsFunc(b.api, func(api netip.Addr) bool { return contains(*peer.IPBlock, api) })
	case bound.IPBlock != nil || bound.NamespaceSelector != nil || peer.NamespaceSelector != nil || peer.PodSelector == nil || bound.PodSelector == nil:
		return none, false
	case len(bound.PodSelector.MatchExpressions) > 0:
		return none, false
	}
	for key, value := range bound.PodSelector.MatchLabels {
		if peer.PodSelector.MatchLabels[key] != value {
			return none, false
		}
	}
	return peer, true
}

func contains(block networkingv1.IPBlock, address netip.Addr) bool {
	in := func(text string) bool {
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(address)
	}
	return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
}

// blockWithin is what is in both blocks: the smaller range, without what either leaves out.
func blockWithin(a, b networkingv1.IPBlock) (networkingv1.IPBlock, bool) {
	one, errOne := netip.ParsePrefix(a.CIDR)
	two, errTwo := netip.ParsePrefix(b.CIDR)
	// A network may take an address of IPv4 within one of IPv6 for what it stands for.
	if errOne != nil || errTwo != nil || one.Addr().Is4In6() || two.Addr().Is4In6() || !one.Overlaps(two) {
		return networkingv1.IPBlock{}, false
	}
	smaller := one
	if two.Bits() > one.Bits() {
		smaller = two
	}
	block := networkingv1.IPBlock{CIDR: smaller.Masked().String()}
	for _, text := range slices.Concat(a.Except, b.Except) {
		except, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return networkingv1.IPBlock{}, false
		case !except.Overlaps(smaller):
		case except.Bits() <= smaller.Bits():
			return networkingv1.IPBlock{}, false
		case !slices.Contains(block.Except, except.Masked().String()):
			block.Except = append(block.Except, except.Masked().String())
		}
	}
	return block, true
}

// portsWithin are the ports that are in both lists, of which an empty one is all. Those of the bounds
// are numbers. Who asks for the port of the API's Service means that of the API server.
func portsWithin(asked, bound []networkingv1.NetworkPolicyPort) ([]networkingv1.NetworkPolicyPort, bool) {
	switch {
	case len(bound) == 0:
		return asked, true
	case len(asked) == 0:
		return bound, true
	}
	var ports []networkingv1.NetworkPolicyPort
	for _, port := range bound {
		number, protocol := port.Port.IntVal, ptr.Deref(port.Protocol, corev1.ProtocolTCP)
		if slices.ContainsFunc(asked, func(a networkingv1.NetworkPolicyPort) bool {
			return portCovers(a, protocol, number) || number == portAPI && portCovers(a, protocol, portService)
		}) {
			ports = append(ports, port)
		}
	}
	return ports, len(ports) > 0
}

// allPortsWithin tells whether every port that is asked for is among those of the bounds. An
// empty list asks for all, and a range for more than one.
func allPortsWithin(asked, bound []networkingv1.NetworkPolicyPort) bool {
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(a networkingv1.NetworkPolicyPort) bool {
		return a.EndPort != nil || !slices.ContainsFunc(bound, func(b networkingv1.NetworkPolicyPort) bool {
			return a.Port != nil && portCovers(a, ptr.Deref(b.Protocol, corev1.ProtocolTCP), b.Port.IntVal)
		})
	})
}

func portCovers(asked networkingv1.NetworkPolicyPort, protocol corev1.Protocol, number int32) bool {
	if ptr.Deref(asked.Protocol, corev1.ProtocolTCP) != protocol {
		return false
	}
	if asked.Port == nil {
		return true
	}
	first := asked.Port.IntVal
	return asked.Port.Type == intstr.Int && first <= number && number <= ptr.Deref(asked.EndPort, first)
}

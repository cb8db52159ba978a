// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// AddressRanges are parsed ranges of addresses.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type AddressRanges []netip.Prefix

// ParseAddressRanges reads ranges such as 192.0.2.0/24.
func ParseAddressRanges(ranges []string) (AddressRanges, error) {
	var parsed AddressRanges
	for _, text := range ranges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("range of addresses: %w", err)
		}
		parsed = append(parsed, prefix.Masked())
	}
	return parsed, nil
}

// Contain says whether the address lies in one of the ranges.
func (r AddressRanges) Contain(address netip.Addr) bool {
	for _, each := range r {
		if each.Contains(address) {
			return true
		}
	}
	return false
}

// ParseEndpointAddress reads an address as the host's network does: an IPv4 address
// in the form of an IPv6 one is the IPv4 address. It returns false for any other text.
func ParseEndpointAddress(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err == nil
}

// PodEndpoints are the addresses that are a pod's own: none that its node has, too, and
// none once it has ended, since another pod may have got them.
func PodEndpoints(pod *corev1.Pod) []netip.Addr {
	if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	node := map[netip.Addr]bool{}
	for _, text := range append([]corev1.HostIP{{IP: pod.Status.HostIP}}, pod.Status.HostIPs...) {
		if address, ok := ParseEndpointAddress(text.IP); ok {
			node[address] = true
		}
	}
	var own []netip.Addr
	for _, text := range append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...) {
		if address, ok := ParseEndpointAddress(text.IP); ok && !node[address] {
			own = append(own, address)
		}
	}
	return own
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import "net/netip"

// local are addresses that mean this pod, its link or its node: they stay closed, whatever
// ranges an administrator opens. Some forms of IPv6 are IPv4 in disguise, and clouds
// answer for their machines at the others.
var local = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
	"::/96", "fe80::/10", "ff00::/8", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
	"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::/32",
)

// private are further addresses that no public network routes to. Of IPv6, those are
// all but one range.
var private = prefixes(
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "3fff::/20",
)

var globalUnicast = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func within(ranges []netip.Prefix, address netip.Addr) bool {
	for _, prefix := range ranges {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// longest is the length of the narrowest of the ranges that has the address; none is -1.
func longest(ranges []netip.Prefix, address netip.Addr) int {
	bits := -1
	for _, prefix := range ranges {
		if prefix.Contains(address) {
			bits = max(bits, prefix.Bits())
		}
	}
	return bits
}

// public says whether the address is one of the internet's.
func public(address netip.Addr) bool {
	return !within(local, address) && !within(private, address) && (address.Is4() || globalUnicast.Contains(address))
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package network gives every host cluster its own network.
//
// Each node is a network namespace, so that what kube-proxy and the CNI
// plugins put into iptables never reaches the machine's own tables and two
// clusters may run side by side on the same port numbers. The namespaces hang
// on a bridge in a further namespace, the fabric; the machine itself is joined
// to that by one veth pair, over which it reaches nodes, pods and services.
// The bridge is kept out of the root namespace because a container engine
// there may drop what a bridge forwards.
//
//	root namespace        fabric            node 1              node 2
//	garretN .1 ────────── bridge ─────────── eth0 .11            eth0 .12
//	                         └──────────────────────────────────────┘
//
// There is no default route: nothing in the cluster can reach the world.
package network

import (
	"fmt"
	"net/netip"
)

// MaxInstances is how many host clusters find addresses on one machine.
const MaxInstances = 50

// MaxNodes is how many nodes find addresses in one cluster.
const MaxNodes = 20

// firstOctet is the second octet of instance 0: its addresses lie in
// 10.200.0.0/16, those of instance 1 in 10.201.0.0/16.
const firstOctet = 200

// Plan is the addressing of one cluster. It follows from the instance's index
// alone, so nothing of it needs to be stored.
type Plan struct {
	// Index tells apart the clusters on one machine: 0 to MaxInstances-1.
	Index int
}

func (p Plan) addr(third, fourth int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(firstOctet + p.Index), byte(third), byte(fourth)})
}

// Whole is the range that holds all others.
func (p Plan) Whole() netip.Prefix { return netip.PrefixFrom(p.addr(0, 0), 16) }

// Gateway is the machine's own address on the nodes' network.
func (p Plan) Gateway() netip.Addr { return p.addr(0, 1) }

// NodeNet is the network that nodes and machine share.
func (p Plan) NodeNet() netip.Prefix { return netip.PrefixFrom(p.addr(0, 0), 24) }

// Node is the address of a node; they count from 1.
func (p Plan) Node(n int) netip.Addr { return p.addr(0, 10+n) }

// PodNet is the range of all pods.
func (p Plan) PodNet() netip.Prefix { return netip.PrefixFrom(p.addr(64, 0), 18) }

// NodePodNet is the range of one node's pods.
func (p Plan) NodePodNet(n int) netip.Prefix { return netip.PrefixFrom(p.addr(64+n, 0), 24) }

// ServiceNet is the range of cluster IPs.
func (p Plan) ServiceNet() netip.Prefix { return netip.PrefixFrom(p.addr(128, 0), 18) }

// APIService is the cluster IP of the service kubernetes.default.
func (p Plan) APIService() netip.Addr { return p.addr(128, 1) }

// DNS is the cluster IP of the DNS service.
func (p Plan) DNS() netip.Addr { return p.addr(128, 10) }

// APIServer is the URL at which nodes, pods and machine reach the API server,
// which runs on the first node.
func (p Plan) APIServer() string { return fmt.Sprintf("https://%s:6443", p.Node(1)) }

// Link is the name of the machine's end of the veth pair.
func (p Plan) Link() string { return fmt.Sprintf("garret%d", p.Index) }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/admission"
	"garret.dev/garret/syncer/egress"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/syncer/translate"
)

const (
	// A tenant can have the doors ask the host as often as it connects in vain, which
	// must not take from what the syncer itself may ask.
	doorsQPS   = 20
	doorsBurst = 40
)

// doors are where the control plane connects to anything.
type doors struct {
	host    *egress.Host
	bounds  egress.Bounds
	servers []*egress.Server
}

// newDoors returns the doors that the options ask for, if any. The control plane finds
// them before it is ready itself.
func newDoors(options Options) (*doors, error) {
	if options.EgressDir == "" {
		return &doors{}, nil
	}
	config, err := hostConfig(options.HostKubeconfig)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = doorsQPS, doorsBurst
	config.UserAgent = rest.DefaultKubernetesUserAgent()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("host cluster: %w", err)
	}
	cluster := translate.Cluster{ID: options.ClusterID, Name: options.VirtualCluster, HostNamespace: options.Namespace}
	d := &doors{host: egress.NewHost(client, cluster, addresses(options.NodeIP)...)}
	if d.bounds, err = newBounds(options, d.host); err != nil {
		return nil, err
	}
	for name, door := range map[string]*egress.Door{
		egress.ClusterSocket:      {Bounds: d.bounds, Syncer: at(options.PodIP, options.KubeletPort)},
		egress.ControlPlaneSocket: {Bounds: d.bounds, Syncer: at("127.0.0.1", options.WebhookPort), Resolver: net.DefaultResolver},
	} {
		server, err := egress.Listen(options.EgressDir, name, door)
		if err != nil {
			return nil, err
		}
		d.servers = append(d.servers, server)
	}
	return d, nil
}

func newBounds(options Options, host *egress.Host) (egress.Bounds, error) {
	allowed, err := tenancyv1.ParseAddressRanges(options.EgressRanges)
	if err != nil {
		return egress.Bounds{}, err
	}
	closed, err := tenancyv1.ParseAddressRanges(options.ClosedRanges)
	if err != nil {
		return egress.Bounds{}, err
	}
	return egress.Bounds{
		Own: host, Itself: addresses(options.PodIP, options.ServiceIP),
		Public: options.PublicEgress, Allowed: allowed, Closed: closed,
	}, nil
}

// follow has the doors look into the syncer's caches.
func (d *doors) follow(host *resources.Host) {
	if d.host != nil {
		caches := egress.Caches{Pods: host.Pods.Indexer(), Services: host.Services.Indexer()}
		if host.Nodes != nil {
			caches.Nodes = host.Nodes.Indexer()
		}
		d.host.Follow(caches)
	}
}

// nodes judges Nodes by the same bounds; nil where there are none.
func (d *doors) nodes(options Options) *admission.Nodes {
	if d.host == nil {
		return nil
	}
	return &admission.Nodes{Kubelet: at(options.PodIP, options.KubeletPort), Bounds: d.bounds}
}

// run serves until the context ends.
func (d *doors) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, server := range d.servers {
		group.Go(func() error { return server.Run(ctx) })
	}
	return group.Wait()
}

// addresses are those of the texts that are addresses.
func addresses(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			all = append(all, address.Unmap())
		}
	}
	return all
}

// at is a port of an address; nowhere, if that is none.
func at(text string, port int) netip.AddrPort {
	for _, address := range addresses(text) {
		return netip.AddrPortFrom(address, uint16(port))
	}
	return netip.AddrPort{}
}

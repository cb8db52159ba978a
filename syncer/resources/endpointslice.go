// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// sliceManager marks the slices on the host that the syncer keeps; the host's
// own controllers leave those of other managers alone.
const sliceManager = "syncer.garret.dev"

const (
	// reasonAddresses is the reason of Events about addresses that are not carried.
	reasonAddresses = "AddressNotCarried"
	// toldAddresses is how many addresses one Event names.
	toldAddresses = 5
	// addressRule is the rule, and who can lift it.
	addressRule = "endpoints may have the addresses of this virtual cluster's pods, and those that the host's administrator allows in spec.isolation.endpointRanges of the HostCluster"
)

// endpointSlices carries the endpoints of services without a selector, which
// somebody inside writes. Those of other services are made on each side from
// the pods there, which have the same addresses.
//
// An address is carried while it is that of one of the cluster's own pods, or lies in
// a range that the host's administrator opened: any other would have the host's
// network lead to whoever has it, from a node port for all the world.
func (b *builder) endpointSlices() {
	if !b.Selection[tenancyv1.ResourceServices] {
		return
	}
	ranges, err := tenancyv1.ParseAddressRanges(b.EndpointRanges)
	if err != nil {
		b.fail(err)
		return
	}
	s := &endpointSlices{builder: b, ranges: ranges}
	follows := []follow{{b.Virtual.Services.Informer(), b.slicesOf}}
	if s.pods = b.Selection[tenancyv1.ResourcePods]; s.pods {
		follows = append(follows, follow{b.Host.Pods.Informer(), b.slicesWith})
	}
	declare(b, b.Virtual.EndpointSlices, b.Host.EndpointSlices, declared[*discoveryv1.EndpointSlice]{
		wanted: func(virtual *discoveryv1.EndpointSlice) bool {
			service, found := b.Virtual.Services.Get(virtual.Namespace, serviceOf(virtual))
			return found && HasHostService(service) && len(service.Spec.Selector) == 0
		},
		unwanted: "it belongs to no Service without a selector on the host",
		create: func(virtual, host *discoveryv1.EndpointSlice) error {
			host.AddressType = virtual.AddressType
			return nil
		},
		apply:      s.apply,
		references: func(virtual *discoveryv1.EndpointSlice) []string { return []string{serviceOf(virtual)} },
		follows:    follows,
	})
}

type endpointSlices struct {
	*builder
	ranges tenancyv1.AddressRanges
	// pods says that the cluster has pods on the host.
	pods bool
}

func serviceOf(slice *discoveryv1.EndpointSlice) string {
	return slice.Labels[discoveryv1.LabelServiceName]
}

func (s *endpointSlices) apply(virtual, host *discoveryv1.EndpointSlice) error {
	if virtual.AddressType == discoveryv1.AddressTypeFQDN {
		return engine.Refuse(reasonAddresses, "endpoints of the type FQDN could name any host: "+addressRule)
	}
	host.Labels[discoveryv1.LabelManagedBy] = sliceManager
	host.Labels[discoveryv1.LabelServiceName] = s.Translator.HostName(virtual.Namespace, serviceOf(virtual))
	var leftOut []string
	host.Endpoints, leftOut = hostEndpoints(virtual.Endpoints, s.allowed)
	host.Ports = virtual.DeepCopy().Ports
	s.tell(virtual, leftOut)
	return nil
}

// allowed says whether the host's network may lead to the address for this cluster.
func (s *endpointSlices) allowed(text string) bool {
	address, ok := tenancyv1.ParseEndpointAddress(text)
	if !ok {
		return false
	}
	if s.ranges.Contain(address) {
		return true
	}
	return s.pods && slices.ContainsFunc(s.Host.Pods.ByIndex(indexAddress, address.String()), func(pod *corev1.Pod) bool {
		return slices.Contains(tenancyv1.PodEndpoints(pod), address)
	})
}

// tell puts an Event on the slice when other addresses are left out than before.
func (s *endpointSlices) tell(virtual *discoveryv1.EndpointSlice, leftOut []string) {
	message := ""
	if len(leftOut) > 0 {
		more := ""
		if len(leftOut) > toldAddresses {
			more = fmt.Sprintf(" and %d more", len(leftOut)-toldAddresses)
		}
		message = fmt.Sprintf("The host does not serve %s%s: %s", strings.Join(leftOut[:min(len(leftOut), toldAddresses)], ", "), more, addressRule)
	}
	s.notices.tell(virtual, reasonAddresses, message)
}

// hostEndpoints are the endpoints whose addresses are allowed, without what they are
// inside (pods, nodes), which means nothing on the host. Addresses that are not are returned.
func hostEndpoints(virtual []discoveryv1.Endpoint, allowed func(address string) bool) (host []discoveryv1.Endpoint, leftOut []string) {
	for i := range virtual {
		endpoint := virtual[i].DeepCopy()
		endpoint.TargetRef, endpoint.NodeName, endpoint.DeprecatedTopology = nil, nil, nil
		endpoint.Addresses = slices.DeleteFunc(endpoint.Addresses, func(address string) bool {
			if allowed(address) {
				return false
			}
			leftOut = append(leftOut, address)
			return true
		})
		if len(endpoint.Addresses) > 0 {
			host = append(host, *endpoint)
		}
	}
	return host, leftOut
}

// slicesOf names the slices of a virtual service, which a change of the service concerns.
func (b *builder) slicesOf(service any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, key := range engine.SameKey(service) {
		for _, slice := range b.Virtual.EndpointSlices.ByIndex(indexService, key.String()) {
			keys = append(keys, engine.KeyOf(slice))
		}
	}
	return keys
}

// slicesWith names the slices that have an address of the host pod, which comes and goes with it.
func (b *builder) slicesWith(pod any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, address := range podAddresses(pod) {
		for _, slice := range b.Virtual.EndpointSlices.ByIndex(indexAddress, address) {
			keys = append(keys, engine.KeyOf(slice))
		}
	}
	return keys
}

// podAddresses are all that stand in the status of a pod, also where they are not its own.
func podAddresses(object any) []string {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil
	}
	texts := []string{pod.Status.PodIP}
	for _, each := range pod.Status.PodIPs {
		texts = append(texts, each.IP)
	}
	return canonical(texts)
}

func sliceAddresses(object any) []string {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil
	}
	var texts []string
	for i := range slice.Endpoints {
		texts = append(texts, slice.Endpoints[i].Addresses...)
	}
	return canonical(texts)
}

// canonical has each address once, in one form.
func canonical(texts []string) []string {
	var addresses []netip.Addr
	for _, text := range texts {
		if address, ok := tenancyv1.ParseEndpointAddress(text); ok && !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	out := make([]string, len(addresses))
	for i, address := range addresses {
		out[i] = address.String()
	}
	return out
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// sliceManager marks the slices on the host that the syncer keeps; the host's
// own controllers leave those of other managers alone.
const sliceManager = "syncer.garret.dev"

// endpointSlices carries the endpoints of services without a selector, which
// somebody inside writes. Those of other services are made on each side from
// the pods there, which have the same addresses.
func (b *builder) endpointSlices() {
	if !b.Selection[tenancyv1.ResourceServices] {
		return
	}
	serviceOf := func(slice *discoveryv1.EndpointSlice) string { return slice.Labels[discoveryv1.LabelServiceName] }
	declare(b, b.Virtual.EndpointSlices, b.Host.EndpointSlices, declared[*discoveryv1.EndpointSlice]{
		wanted: func(virtual *discoveryv1.EndpointSlice) bool {
			service, found := b.Virtual.Services.Get(virtual.Namespace, serviceOf(virtual))
			return found && HasHostService(service) && len(service.Spec.Selector) == 0
		},
		create: func(virtual, host *discoveryv1.EndpointSlice) error {
			host.AddressType = virtual.AddressType
			return nil
		},
		apply: func(virtual, host *discoveryv1.EndpointSlice) error {
			host.Labels[discoveryv1.LabelManagedBy] = sliceManager
			host.Labels[discoveryv1.LabelServiceName] = b.Translator.HostName(virtual.Namespace, serviceOf(virtual))
			host.Endpoints, host.Ports = hostEndpoints(virtual.Endpoints), virtual.DeepCopy().Ports
			return nil
		},
		references: func(virtual *discoveryv1.EndpointSlice) []string { return []string{serviceOf(virtual)} },
		follows:    []follow{{b.Virtual.Services.Informer(), b.slicesOf}},
	})
}

// hostEndpoints leaves out what the endpoints are inside (pods, nodes), which means nothing on the host.
func hostEndpoints(virtual []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	var host []discoveryv1.Endpoint
	for i := range virtual {
		endpoint := virtual[i].DeepCopy()
		endpoint.TargetRef, endpoint.NodeName, endpoint.DeprecatedTopology = nil, nil, nil
		host = append(host, *endpoint)
	}
	return host
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

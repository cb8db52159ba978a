// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// sliceManager marks the slices on the host that the syncer keeps; the host's
// own controllers leave those of other managers alone.
const sliceManager = "syncer.garret.dev"

// endpointSlices carries the endpoints of services without a selector, which
// somebody inside writes. Those of other services are made on each side from
// the pods there, which have the same addresses.
type endpointSlices struct {
	translator *translate.Translator
	virtual    *Virtual
}

var _ engine.Kind[*discoveryv1.EndpointSlice] = &endpointSlices{}

// Wanted is true for a slice of a service that has a twin and no selector.
func (e *endpointSlices) Wanted(_ context.Context, virtual *discoveryv1.EndpointSlice) (bool, error) {
	service, found := e.virtual.Services.Get(virtual.Namespace, virtual.Labels[discoveryv1.LabelServiceName])
	return found && HasHostService(service) && len(service.Spec.Selector) == 0, nil
}

// ToHost translates the slice. What the endpoints are inside (pods, nodes) means nothing on the host.
func (e *endpointSlices) ToHost(_ context.Context, virtual, host *discoveryv1.EndpointSlice) error {
	e.translator.Mark(host, translate.IdentityFor(virtual), nil, nil)
	host.Labels[discoveryv1.LabelManagedBy] = sliceManager
	host.Labels[discoveryv1.LabelServiceName] = e.translator.HostName(virtual.Namespace, virtual.Labels[discoveryv1.LabelServiceName])
	if host.UID == "" {
		host.AddressType = virtual.AddressType
	}
	translated := virtual.DeepCopy()
	for i := range translated.Endpoints {
		endpoint := &translated.Endpoints[i]
		endpoint.TargetRef, endpoint.NodeName, endpoint.DeprecatedTopology = nil, nil, nil
	}
	host.Endpoints, host.Ports = translated.Endpoints, translated.Ports
	return nil
}

// ofService names the slices of a virtual service, which a change of the service concerns.
func (e *endpointSlices) ofService(object any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, key := range engine.SameKey(object) {
		for _, slice := range e.virtual.EndpointSlices.ByIndex(indexService, key.String()) {
			keys = append(keys, types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name})
		}
	}
	return keys
}

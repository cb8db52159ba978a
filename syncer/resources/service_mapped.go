// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// reasonMapped is the reason of Events about a Service that stands where another is to be shown.
const reasonMapped = "MappedNameTaken"

// MappedServices are the Services of the host and of other virtual clusters that the
// VirtualCluster has shown inside. garret-controller finds them and tells their addresses in
// the status: the syncer may look into no other namespace. Pods reach them at the address that they
// have on the host, for the networks are one.
type MappedServices struct {
	mu sync.Mutex
	// wanted are by the name inside; nil while the VirtualCluster has not been seen.
	wanted  map[types.NamespacedName]mappedService
	enqueue func(types.NamespacedName)
}

type mappedService struct {
	source string
	// found is nil while the controller has not said anything about the source.
	found *tenancyv1.FoundService
}

// NewMappedServices returns ones that know nothing yet.
func NewMappedServices() *MappedServices {
	return &MappedServices{enqueue: func(types.NamespacedName) {}}
}

// Observe takes over what the VirtualCluster says.
func (m *MappedServices) Observe(cluster *tenancyv1.VirtualCluster) {
	found := map[string]*tenancyv1.FoundService{}
	for i := range cluster.Status.Services {
		each := &cluster.Status.Services[i]
		found[each.From.In(cluster.Namespace).String()] = each
	}
	wanted := map[types.NamespacedName]mappedService{}
	for i := range cluster.Spec.Syncer.FromHost.Services.Mappings {
		mapping := &cluster.Spec.Syncer.FromHost.Services.Mappings[i]
		source := mapping.From.In(cluster.Namespace).String()
		wanted[types.NamespacedName{Namespace: mapping.To.Namespace, Name: mapping.To.Name}] = mappedService{source, found[source]}
	}
	m.mu.Lock()
	before, enqueue := m.wanted, m.enqueue
	m.wanted = wanted
	m.mu.Unlock()
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(wanted))
	for _, key := range keys {
		if !equality.Semantic.DeepEqual(before[key].found, wanted[key].found) || before[key].source != wanted[key].source {
			enqueue(key)
		}
	}
}

// get tells what is to be shown under the name, and whether anything is known at all.
func (m *MappedServices) get(key types.NamespacedName) (service mappedService, wanted, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	service, wanted = m.wanted[key]
	return service, wanted, m.wanted != nil
}

// mappedValue is the value of the label of Services that are shown inside.
const mappedValue = "true"

// mappedServices adds the controller of the Services that are shown inside.
func (b *builder) mappedServices(mapped *MappedServices) {
	shown := &shownServices{mapped, b.notices}
	controller := mirrored(b, &mirror[*corev1.Service]{name: "mapped-services", virtual: b.Virtual.Services, fate: shown.fate, apply: shown.apply})
	mapped.mu.Lock()
	defer mapped.mu.Unlock()
	mapped.enqueue = controller.Enqueue
	for key := range mapped.wanted {
		controller.Enqueue(key)
	}
}

// shownServices mirrors them.
type shownServices struct {
	mapped  *MappedServices
	notices *notices
}

// fate shows what has an address, and leaves alone what a tenant made under its name. The
// label is nobody else's: what has it and is not to be shown goes.
func (s *shownServices) fate(key types.NamespacedName, service *corev1.Service, found bool) (fate, error) {
	mapped, wanted, known := s.mapped.get(key)
	switch {
	case !known:
		return fate{kept: true}, nil
	case found && !isShown(service, tenancyv1.LabelMapped, mappedValue):
		if wanted {
			s.notices.tell(service, reasonMapped, fmt.Sprintf("the VirtualCluster shows the host's Service %s under this name, which is taken: delete this Service, or set another name in spec.syncer.fromHost.services", mapped.source))
		}
		return fate{kept: true}, nil
	case !wanted:
		return fate{}, nil
	case mapped.found == nil:
		return fate{kept: true}, nil
	case len(mapped.found.ClusterIPs) == 0:
		return fate{}, nil
	}
	// An address cannot be changed: the Service goes, which brings it back.
	return fate{shown: !found || slices.Equal(service.Spec.ClusterIPs, mapped.found.ClusterIPs)}, nil
}

// apply fills in a Service without a selector: on the host the source leads to its pods.
func (s *shownServices) apply(service *corev1.Service) {
	mapped, _, _ := s.mapped.get(engine.KeyOf(service))
	if mapped.found == nil || len(mapped.found.ClusterIPs) == 0 {
		return // it is going
	}
	if service.UID == "" {
		service.Spec.ClusterIP, service.Spec.ClusterIPs = mapped.found.ClusterIPs[0], slices.Clone(mapped.found.ClusterIPs)
		if len(mapped.found.ClusterIPs) > 1 {
			policy := corev1.IPFamilyPolicyPreferDualStack
			service.Spec.IPFamilyPolicy = &policy
		}
	}
	show(service, tenancyv1.LabelMapped, mappedValue)
	service.Spec.Type, service.Spec.Selector, service.Spec.ExternalIPs = corev1.ServiceTypeClusterIP, nil, nil
	ports := make([]corev1.ServicePort, len(mapped.found.Ports))
	for i, port := range mapped.found.Ports {
		ports[i] = corev1.ServicePort{Name: port.Name, Protocol: port.Protocol, Port: port.Port, TargetPort: intstr.FromInt32(port.Port), AppProtocol: port.AppProtocol}
	}
	service.Spec.Ports = ports
}

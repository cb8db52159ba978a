// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
)

// reasonAddress is the reason of Events about a service whose addresses inside and on the host differ.
const reasonAddress = "AddressMismatch"

// HostService returns the host's Service for the virtual one, as it is created:
// by the admission webhook before the virtual one is persisted, so that its address
// inside is the one that the host allocates; or by the engine, for the address that
// the virtual one has.
func HostService(marker Marker, virtual *corev1.Service) *corev1.Service {
	host := &corev1.Service{}
	createService(marker, virtual, host)
	refreshService(marker, virtual, host)
	return host
}

// KeepServiceAnswer records on a host's Service what the host's admission made of it. It is for
// Services that were created outside of the engine, which then accepts that answer.
func KeepServiceAnswer(ctx context.Context, services engine.Writer[*corev1.Service], marker Marker, virtual, sent, created *corev1.Service) error {
	return engine.KeepAnswer(ctx, services, sent, created, func(again *corev1.Service) error {
		refreshService(marker, virtual, again)
		// Ports that the host allocated are brought inside.
		withoutPorts(again, created)
		return nil
	})
}

func refreshService(marker Marker, virtual, host *corev1.Service) {
	marker.mark(tenancyv1.ResourceServices, virtual, host, nil)
	applyService(marker, virtual, host)
}

// createService fills in what cannot change.
func createService(marker Marker, virtual, host *corev1.Service) {
	spec, _ := isolation.ServiceSpec(&virtual.Spec, marker.Exceptions)
	host.Spec.ClusterIP = spec.ClusterIP
	host.Spec.ClusterIPs = spec.ClusterIPs
	host.Spec.IPFamilies = spec.IPFamilies
	host.Spec.IPFamilyPolicy = spec.IPFamilyPolicy
}

// applyService brings what may change of the host's Service up to date.
func applyService(marker Marker, virtual, host *corev1.Service) {
	spec, _ := isolation.ServiceSpec(&virtual.Spec, marker.Exceptions)
	applyFamilies(spec, host)
	host.Spec.Type = spec.Type
	host.Spec.Ports = spec.Ports
	// The class is given with the type LoadBalancer, which may come later.
	host.Spec.LoadBalancerClass = spec.LoadBalancerClass
	host.Spec.ExternalIPs = spec.ExternalIPs
	host.Spec.Selector = marker.Translator.HostSelector(virtual.Namespace, spec.Selector)
	host.Spec.SessionAffinity = spec.SessionAffinity
	host.Spec.SessionAffinityConfig = spec.SessionAffinityConfig
	host.Spec.PublishNotReadyAddresses = spec.PublishNotReadyAddresses
	host.Spec.InternalTrafficPolicy = spec.InternalTrafficPolicy
	host.Spec.ExternalTrafficPolicy = spec.ExternalTrafficPolicy
	host.Spec.TrafficDistribution = spec.TrafficDistribution
	// Isolation refuses an address. One that an earlier release passed goes.
	host.Spec.LoadBalancerIP = spec.LoadBalancerIP
	host.Spec.LoadBalancerSourceRanges = spec.LoadBalancerSourceRanges
	host.Spec.AllocateLoadBalancerNodePorts = spec.AllocateLoadBalancerNodePorts
	if marker.leadsToSyncer(virtual) {
		leadToSyncer(marker.Translator.Cluster().ReleaseName(), host)
		return
	}
	// Once it is given it cannot change: the host is asked for the one that was
	// given inside, before it gives one of its own.
	if !checksHealth(virtual) {
		host.Spec.HealthCheckNodePort = 0
	} else if host.Spec.HealthCheckNodePort == 0 {
		host.Spec.HealthCheckNodePort = spec.HealthCheckNodePort
	}
}

// applyFamilies has a Service on the host have the families of addresses that it has inside, where
// those changed. The first address stays. That of a second family was allocated here before it
// came inside, by WidenService, and goes here after it went there.
func applyFamilies(virtual *corev1.ServiceSpec, host *corev1.Service) {
	if host.UID == "" || virtual.IPFamilyPolicy == nil || len(virtual.ClusterIPs) == 0 ||
		equality.Semantic.DeepEqual(virtual.IPFamilyPolicy, host.Spec.IPFamilyPolicy) && slices.Equal(virtual.IPFamilies, host.Spec.IPFamilies) {
		return
	}
	host.Spec.IPFamilyPolicy = new(*virtual.IPFamilyPolicy)
	host.Spec.IPFamilies = slices.Clone(virtual.IPFamilies)
	host.Spec.ClusterIPs = slices.Clone(virtual.ClusterIPs)
}

// IsWidened tells whether a change of a Service asks for addresses of a second family.
func IsWidened(before, now *corev1.Service) bool {
	policy := now.Spec.IPFamilyPolicy
	return len(now.Spec.ClusterIPs) == 1 && now.Spec.ClusterIP != corev1.ClusterIPNone &&
		policy != nil && *policy != corev1.IPFamilyPolicySingleStack &&
		!(equality.Semantic.DeepEqual(policy, before.Spec.IPFamilyPolicy) && slices.Equal(now.Spec.IPFamilies, before.Spec.IPFamilies))
}

// WidenService asks the host for the families that a Service inside is to have from now on.
func WidenService(virtual, host *corev1.Service) {
	host.Spec.IPFamilyPolicy = new(*virtual.Spec.IPFamilyPolicy)
	if len(virtual.Spec.IPFamilies) > len(host.Spec.IPFamilies) {
		host.Spec.IPFamilies = slices.Clone(virtual.Spec.IPFamilies)
	}
}

// checksHealth tells whether load balancers ask each node for the health of a service.
func checksHealth(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// Services in kube-system that lead the API server inside to APIs that the syncer serves.
const (
	MetricsService = "garret-metrics"
	ExplainService = "garret-explain"
)

// HasHostService says whether a virtual Service has a twin on the host. The API
// server's own has the address of the virtual cluster itself, those of the syncer's APIs
// are for the API server alone, one that is mapped has an address already, and an ExternalName is an alias in the DNS inside: on the
// host it would name any address in the tenant's words.
func HasHostService(virtual *corev1.Service) bool {
	switch {
	case virtual.Namespace == metav1.NamespaceDefault && virtual.Name == "kubernetes",
		virtual.Namespace == metav1.NamespaceSystem && (virtual.Name == MetricsService || virtual.Name == ExplainService):
		return false
	}
	return virtual.Spec.Type != corev1.ServiceTypeExternalName && !isShown(virtual, tenancyv1.LabelMapped, mappedValue)
}

// CheckService returns an error in words for tenants when the Service is kept from the host.
func (m Marker) CheckService(virtual *corev1.Service) error {
	_, violations := isolation.ServiceSpec(&virtual.Spec, m.Exceptions)
	return forbidden(violations)
}

// services carries services to the host.
type services struct {
	marker  Marker
	virtual *Virtual
}

func (b *builder) services() {
	s := &services{b.marker(), b.Virtual}
	declare(b, b.Virtual.Services, b.Host.Services, declared[*corev1.Service]{
		wanted: HasHostService, unwanted: "the host has no object for Services of type ExternalName, for mapped ones, and for those that lead to the control plane",
		create: func(virtual, host *corev1.Service) error {
			createService(s.marker, virtual, host)
			return nil
		},
		apply:  s.apply,
		yield:  yieldPorts,
		status: s.status,
	})
	if b.Named != nil {
		b.namedServices(b.Named)
	}
}

// apply translates the service. The first pass over one that the webhook made adopts it.
func (s *services) apply(virtual, host *corev1.Service) error {
	if err := s.marker.CheckService(virtual); err != nil {
		return err
	}
	if host.Spec.ClusterIP != virtual.Spec.ClusterIP {
		return engine.Refuse(reasonAddress, fmt.Sprintf("the address inside is %s, but the host allocated %s: delete the service and create it again",
			virtual.Spec.ClusterIP, host.Spec.ClusterIP))
	}
	applyService(s.marker, virtual, host)
	return nil
}

// yieldPorts asks for the node ports inside at first; where the host has given them
// away, for those that it has allocated, or any.
func yieldPorts(wanted, current *corev1.Service, refusal error) bool {
	return apierrors.IsInvalid(refusal) && withoutPorts(wanted, current)
}

// withoutPorts takes back what was asked of the host's own ports, so that it gives
// what it has or has given already.
func withoutPorts(service, other *corev1.Service) bool {
	changed := withNodePorts(service, other)
	given := int32(0)
	if other != nil {
		given = other.Spec.HealthCheckNodePort
	}
	if service.Spec.HealthCheckNodePort != given && given == 0 {
		service.Spec.HealthCheckNodePort, changed = given, true
	}
	return changed
}

// withNodePorts gives service the node ports of other, matched by port and
// protocol, and says whether that changed any.
func withNodePorts(service, other *corev1.Service) bool {
	changed := false
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		nodePort := nodePortOf(other, port)
		if port.NodePort != nodePort {
			port.NodePort, changed = nodePort, true
		}
	}
	return changed
}

func nodePortOf(service *corev1.Service, port *corev1.ServicePort) int32 {
	if service == nil {
		return 0
	}
	for i := range service.Spec.Ports {
		other := &service.Spec.Ports[i]
		if other.Port == port.Port && protocolOf(*other) == protocolOf(*port) {
			return other.NodePort
		}
	}
	return 0
}

// status brings the node ports and the balancer's addresses inside.
func (s *services) status(ctx context.Context, virtual, host *corev1.Service) error {
	client := s.virtual.Client.CoreV1().Services(virtual.Namespace)
	if exposed(host) && exposed(virtual) {
		changed := virtual.DeepCopy()
		if withNodePorts(changed, host) {
			_, err := client.Update(ctx, changed, metav1.UpdateOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("node ports inside: %w", err)
			}
			// The change brings the service back.
			return nil
		}
	}
	if equality.Semantic.DeepEqual(virtual.Status, host.Status) {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status = *host.Status.DeepCopy()
	if _, err := client.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

func exposed(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeNodePort || service.Spec.Type == corev1.ServiceTypeLoadBalancer
}

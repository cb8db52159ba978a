// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// DNSService is the Service of the DNS inside, in kube-system.
	DNSService = "kube-dns"
	// portDNS is the port of that Service.
	portDNS = 53
)

// DNSSelector selects the pods of the DNS inside.
func DNSSelector() map[string]string { return map[string]string{"k8s-app": DNSService} }

// DNSPorts are those of the Service of the DNS.
func DNSPorts() []corev1.ServicePort {
	return []corev1.ServicePort{
		{Name: "dns", Protocol: corev1.ProtocolUDP, Port: portDNS, TargetPort: intstr.FromInt32(tenancyv1.PortDNS)},
		{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: portDNS, TargetPort: intstr.FromInt32(tenancyv1.PortDNS)},
	}
}

// leadsToSyncer tells whether the Service is that of a DNS that the syncer answers itself.
func (m Marker) leadsToSyncer(virtual *corev1.Service) bool {
	return m.EmbeddedDNS && virtual.Namespace == metav1.NamespaceSystem && virtual.Name == DNSService
}

// leadToSyncer has the host's Service lead to the syncer's DNS and to nothing else of its pod,
// whatever a tenant writes into the Service inside. It answers while the control plane does not.
func leadToSyncer(release string, host *corev1.Service) {
	host.Spec = corev1.ServiceSpec{
		ClusterIP: host.Spec.ClusterIP, ClusterIPs: host.Spec.ClusterIPs,
		IPFamilies: host.Spec.IPFamilies, IPFamilyPolicy: host.Spec.IPFamilyPolicy,
		InternalTrafficPolicy: host.Spec.InternalTrafficPolicy,
		Type:                  corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone,
		Selector: tenancyv1.ControlPlaneLabels(release), Ports: DNSPorts(), PublishNotReadyAddresses: true,
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// openDNS returns what the rules of a policy open towards the DNS inside. Policies commonly open port
// 53, at which the DNS of most clusters listens. The one here listens at another port, which needs
// no privilege, and maybe in the syncer's pod, which no selector inside matches.
func (b *builder) openDNS(namespace string, rules []networkingv1.NetworkPolicyEgressRule) ([]networkingv1.NetworkPolicyEgressRule, error) {
	var ports []networkingv1.NetworkPolicyPort
	for _, rule := range rules {
		meant, err := b.meansDNS(namespace, rule.To)
		if err != nil {
			return nil, err
		}
		// Where the rule has these pods and this port as it is, there is nothing to add.
		opened := len(rule.To) == 0 || !b.EmbeddedDNS
		for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			if meant && opensDNS(rule.Ports, protocol) && !(opened && opensPort(rule.Ports, protocol, tenancyv1.PortDNS)) && !slices.ContainsFunc(ports, func(port networkingv1.NetworkPolicyPort) bool { return *port.Protocol == protocol }) {
				ports = append(ports, networkingv1.NetworkPolicyPort{Protocol: ptr.To(protocol), Port: ptr.To(intstr.FromInt32(tenancyv1.PortDNS))})
			}
		}
	}
	if len(ports) == 0 {
		return nil, nil
	}
	answers := b.Translator.HostLabelSelector(&metav1.LabelSelector{MatchLabels: DNSSelector()}, []string{metav1.NamespaceSystem})
	if b.EmbeddedDNS {
		answers = &metav1.LabelSelector{MatchLabels: tenancyv1.ControlPlaneLabels(b.Translator.Cluster().ReleaseName())}
	}
	return []networkingv1.NetworkPolicyEgressRule{{Ports: ports, To: []networkingv1.NetworkPolicyPeer{{PodSelector: answers}}}}, nil
}

// meansDNS tells whether the pods of the DNS, as a cluster usually has them, are among the peers.
func (b *builder) meansDNS(namespace string, peers []networkingv1.NetworkPolicyPeer) (bool, error) {
	for _, peer := range peers {
		if peer.IPBlock != nil {
			continue
		}
		within := namespace == metav1.NamespaceSystem
		if peer.NamespaceSelector != nil {
			matched, err := b.namespaces(peer.NamespaceSelector)
			if err != nil {
				return false, err
			}
			within = slices.Contains(matched, metav1.NamespaceSystem)
		}
		pods := labels.Everything()
		if peer.PodSelector != nil {
			var err error
			if pods, err = metav1.LabelSelectorAsSelector(peer.PodSelector); err != nil {
				return false, err
			}
		}
		if within && pods.Matches(labels.Set(DNSSelector())) {
			return true, nil
		}
	}
	return len(peers) == 0, nil
}

// opensDNS tells whether the ports have one of the DNS, by number or by name.
func opensDNS(ports []networkingv1.NetworkPolicyPort, protocol corev1.Protocol) bool {
	return opensPort(ports, protocol, portDNS) || opensPort(ports, protocol, tenancyv1.PortDNS) ||
		slices.ContainsFunc(ports, func(port networkingv1.NetworkPolicyPort) bool {
			return port.Port != nil && slices.ContainsFunc(DNSPorts(), func(ours corev1.ServicePort) bool {
				return ours.Protocol == ptr.Deref(port.Protocol, corev1.ProtocolTCP) && ours.Protocol == protocol && ours.Name == port.Port.StrVal
			})
		})
}

// opensPort tells whether the ports have the number. An empty list is all.
func opensPort(ports []networkingv1.NetworkPolicyPort, protocol corev1.Protocol, number int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(port networkingv1.NetworkPolicyPort) bool {
		switch {
		case ptr.Deref(port.Protocol, corev1.ProtocolTCP) != protocol:
			return false
		case port.Port == nil:
			return true
		}
		first := port.Port.IntVal
		return port.Port.Type == intstr.Int && first <= number && number <= ptr.Deref(port.EndPort, first)
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestServiceOfAnEmbeddedDNS has a tenant write what they like into the Service of the DNS: on the host
// it leads to the syncer's DNS, and to no other port of the control plane's pod.
func TestServiceOfAnEmbeddedDNS(t *testing.T) {
	translator := testTranslator()
	virtual := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: DNSService, UID: "uid"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.0.10", ClusterIPs: []string{"10.96.0.10"},
			Ports:    []corev1.ServicePort{{Name: "kubelet", Port: 10250, TargetPort: intstr.FromInt32(10250), NodePort: 30250}, {Name: "dns", Port: 53, TargetPort: intstr.FromInt32(6443)}},
			Selector: map[string]string{"app": "mine"}, SessionAffinity: corev1.ServiceAffinityClientIP,
		},
	}
	for _, embedded := range []bool{false, true} {
		host := HostService(Marker{Translator: translator, EmbeddedDNS: embedded}, virtual)
		leads := maps.Equal(host.Spec.Selector, tenancyv1.ControlPlaneLabels(translator.Cluster().ReleaseName()))
		if leads != embedded {
			t.Errorf("embedded %t: got the selector %v", embedded, host.Spec.Selector)
		}
		if embedded && (!equality.Semantic.DeepEqual(host.Spec.Ports, DNSPorts()) || host.Spec.Type != corev1.ServiceTypeClusterIP) {
			t.Errorf("got the type %s and ports %v, want those of the DNS", host.Spec.Type, host.Spec.Ports)
		}
		if host.Spec.ClusterIP != virtual.Spec.ClusterIP {
			t.Errorf("embedded %t: got the address %s", embedded, host.Spec.ClusterIP)
		}
	}
	for _, other := range []*corev1.Service{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: DNSService, UID: "uid"}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "mine", UID: "uid"}},
	} {
		other.Spec.Selector = tenancyv1.ControlPlaneLabels(translator.Cluster().ReleaseName())
		host := HostService(Marker{Translator: translator, EmbeddedDNS: true}, other)
		for key, value := range other.Spec.Selector {
			if host.Spec.Selector[key] == value {
				t.Errorf("%s/%s leads to the control plane by %v", other.Namespace, other.Name, host.Spec.Selector)
			}
		}
	}
}

// TestPoliciesOpenTheDNS has policies as people write them for other clusters open the port of the DNS here.
func TestPoliciesOpenTheDNS(t *testing.T) {
	port := func(protocol corev1.Protocol, number int32) networkingv1.NetworkPolicyPort {
		return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ptr.To(intstr.FromInt32(number))}
	}
	usual := []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, 53), port(corev1.ProtocolTCP, 53)}
	web := []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, 443)}
	named := []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(intstr.FromString("dns"))}}
	dns := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: DNSSelector()}}}
	others := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}}
	world := []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}}
	for name, test := range map[string]struct {
		rule      networkingv1.NetworkPolicyEgressRule
		namespace string
		embedded  bool
		want      int
	}{
		"the usual one":                   {rule: networkingv1.NetworkPolicyEgressRule{To: dns, Ports: usual}, want: 2},
		"the usual one, of the syncer":    {rule: networkingv1.NetworkPolicyEgressRule{To: dns, Ports: usual}, embedded: true, want: 2},
		"everybody at the port":           {rule: networkingv1.NetworkPolicyEgressRule{Ports: usual}, want: 2},
		"by name":                         {rule: networkingv1.NetworkPolicyEgressRule{To: dns, Ports: named}, want: 1},
		"its pods at all ports":           {rule: networkingv1.NetworkPolicyEgressRule{To: dns}},
		"all ports, of the syncer":        {rule: networkingv1.NetworkPolicyEgressRule{To: dns}, embedded: true, want: 2},
		"everything":                      {rule: networkingv1.NetworkPolicyEgressRule{}, embedded: true},
		"another port":                    {rule: networkingv1.NetworkPolicyEgressRule{To: dns, Ports: web}, embedded: true},
		"other pods":                      {rule: networkingv1.NetworkPolicyEgressRule{To: others, Ports: usual}, embedded: true},
		"other pods like it in namespace": {rule: networkingv1.NetworkPolicyEgressRule{To: dns, Ports: usual}, namespace: "shop", embedded: true},
		"addresses":                       {rule: networkingv1.NetworkPolicyEgressRule{To: world, Ports: usual}, embedded: true},
	} {
		t.Run(name, func(t *testing.T) {
			translator := testTranslator()
			b := &builder{Config: Config{Translator: translator, EmbeddedDNS: test.embedded}}
			namespace := test.namespace
			if namespace == "" {
				namespace = metav1.NamespaceSystem
			}
			rules, err := b.openDNS(namespace, []networkingv1.NetworkPolicyEgressRule{test.rule, test.rule})
			if err != nil {
				t.Fatal(err)
			}
			if test.want == 0 {
				if len(rules) > 0 {
					t.Errorf("got %v, want nothing more", rules)
				}
				return
			}
			if len(rules) != 1 || len(rules[0].Ports) != test.want || len(rules[0].To) != 1 {
				t.Fatalf("got %v, want one rule with %d ports", rules, test.want)
			}
			for _, port := range rules[0].Ports {
				if port.Port.IntVal != tenancyv1.PortDNS {
					t.Errorf("got port %s", port.Port)
				}
			}
			release := tenancyv1.ControlPlaneLabels(translator.Cluster().ReleaseName())
			if got := rules[0].To[0].PodSelector.MatchLabels; maps.Equal(got, release) != test.embedded {
				t.Errorf("got the pods %v", got)
			}
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/apis/apiserver"
	apiserverv1beta1 "k8s.io/apiserver/pkg/apis/apiserver/v1beta1"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// end is one end of a packet: a pod, or an address outside.
type end struct {
	namespace string
	labels    map[string]string
	address   string
}

var (
	plane     = end{"team-a", map[string]string{"app.kubernetes.io/name": "garret-virtual-cluster", "app.kubernetes.io/instance": "vc-demo"}, "10.32.0.2"}
	workload  = end{"team-a", map[string]string{"garret.dev/cluster": "0123456789"}, "10.32.0.7"}
	sibling   = end{"team-a", map[string]string{"garret.dev/cluster": "0123456789"}, "10.32.0.8"}
	neighbour = end{"team-a", map[string]string{"garret.dev/cluster": "9876543210"}, "10.32.0.9"}
	otherVC   = end{"team-a", map[string]string{"app.kubernetes.io/name": "garret-virtual-cluster", "app.kubernetes.io/instance": "vc-other"}, "10.32.0.3"}
	stranger  = end{"team-b", nil, "10.32.1.7"}
	hostDNS   = end{"kube-system", map[string]string{"k8s-app": "kube-dns"}, "10.32.2.2"}
)

func outside(address string) end { return end{address: address} }

// allows judges a packet by the policies as the API defines it: an end that no policy
// selects in a direction is open in it, and what one policy allows is allowed.
func allows(t *testing.T, policies map[string]*networkingv1.NetworkPolicy, from, to end, protocol corev1.Protocol, port int32) bool {
	t.Helper()
	way := func(direction networkingv1.PolicyType, subject, peer end) bool {
		selected, allowed := false, false
		for _, policy := range policies {
			if subject.namespace != policy.Namespace || !matches(t, &policy.Spec.PodSelector, subject.labels) || !slices.Contains(policy.Spec.PolicyTypes, direction) {
				continue
			}
			selected = true
			if direction == networkingv1.PolicyTypeIngress {
				for _, rule := range policy.Spec.Ingress {
					allowed = allowed || portIn(rule.Ports, protocol, port) && peerIn(t, policy.Namespace, rule.From, peer)
				}
				continue
			}
			for _, rule := range policy.Spec.Egress {
				allowed = allowed || portIn(rule.Ports, protocol, port) && peerIn(t, policy.Namespace, rule.To, peer)
			}
		}
		return !selected || allowed
	}
	return way(networkingv1.PolicyTypeEgress, from, to) && way(networkingv1.PolicyTypeIngress, to, from)
}

func portIn(ports []networkingv1.NetworkPolicyPort, protocol corev1.Protocol, port int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return *p.Protocol == protocol && p.Port.IntVal == port
	})
}

func peerIn(t *testing.T, namespace string, peers []networkingv1.NetworkPolicyPeer, other end) bool {
	t.Helper()
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if block := peer.IPBlock; block != nil {
			in := func(text string) bool {
				prefix, err := netip.ParsePrefix(text)
				if err != nil {
					t.Fatalf("range of a policy: %v", err)
				}
				return prefix.Contains(netip.MustParseAddr(other.address))
			}
			// Many networks judge pods by their address, too.
			return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
		}
		if other.namespace == "" {
			return false
		}
		if peer.NamespaceSelector == nil {
			return other.namespace == namespace && matches(t, peer.PodSelector, other.labels)
		}
		return matches(t, peer.NamespaceSelector, map[string]string{corev1.LabelMetadataName: other.namespace}) &&
			(peer.PodSelector == nil || matches(t, peer.PodSelector, other.labels))
	})
}

func matches(t *testing.T, selector *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Matches(labels.Set(set))
}

// TestNetworkPolicies sends packets of all kinds under all settings.
func TestNetworkPolicies(t *testing.T) {
	const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP
	settings := map[string]NetworkPolicy{
		"default": {Enabled: true, PublicEgress: true},
		"closed":  {Enabled: true},
		"ranges":  {Enabled: true, AllowedRanges: []string{"10.50.0.0/16", "fd50::/16"}},
		"services": {Enabled: true, Services: []ServicePeer{
			{Namespace: "team-b", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}, Ports: []PeerPort{{Protocol: tcp, Port: intstr.FromInt32(5432)}}},
		}},
		"off": {},
	}
	rendered := map[string]map[string]*networkingv1.NetworkPolicy{}
	for name, policy := range settings {
		values := testValues()
		values.Isolation.NetworkPolicy = policy
		values.Host.ServiceCIDR = "10.96.0.0/16,2a00:1:2::/112"
		rendered[name] = render(t, values, nil).networkPolicies
	}
	if len(rendered["off"]) != 0 {
		t.Errorf("policies while they are off: got %v, want none", rendered["off"])
	}
	always, never := []string{"default", "closed", "ranges", "services", "off"}, []string{"off"}
	behind := end{"team-b", map[string]string{"app": "db"}, "10.32.1.8"}
	for _, c := range []struct {
		what     string
		from, to end
		protocol corev1.Protocol
		port     int32
		open     []string
	}{
		{"to an own pod", workload, sibling, tcp, 8080, always},
		{"to the own API", workload, plane, tcp, 6443, always},
		{"to the issuer", workload, plane, tcp, 8443, never},
		{"to the virtual kubelet", workload, plane, tcp, 10250, never},
		{"to the syncer's health", workload, plane, tcp, 8080, never},
		{"to another's API", workload, otherVC, tcp, 6443, never},
		{"to a neighbour's pod", workload, neighbour, tcp, 8080, never},
		{"to a pod of the host", workload, stranger, tcp, 8080, never},
		{"to the host's DNS", workload, hostDNS, udp, 53, always},
		{"to the host's DNS by TCP", workload, hostDNS, tcp, 53, always},
		{"to something else there", workload, hostDNS, tcp, 9153, never},
		{"to the node's own DNS", workload, outside("169.254.20.10"), udp, 53, always},
		{"to metadata", workload, outside("169.254.169.254"), tcp, 80, never},
		{"to metadata of Azure", workload, outside("168.63.129.16"), tcp, 80, never},
		{"to metadata of Alibaba", workload, outside("100.100.100.200"), tcp, 80, never},
		{"to metadata by IPv6", workload, outside("fd00:ec2::254"), tcp, 80, never},
		{"to a kubelet", workload, outside("192.168.5.9"), tcp, 10250, never},
		{"to the host's API server", workload, outside("192.168.5.1"), tcp, 6443, never},
		{"to the host's API server's Service", workload, outside("10.96.0.1"), tcp, 443, never},
		{"to a service range that is public", workload, outside("2a00:1:2::1"), tcp, 443, never},
		{"to the world", workload, outside("1.1.1.1"), tcp, 443, []string{"default", "off"}},
		{"to the world by IPv6", workload, outside("2606:4700::1"), tcp, 443, []string{"default", "off"}},
		{"to the world by 6to4", workload, outside("2002:0a00:1::"), tcp, 443, never},
		{"to a range that is open", workload, outside("10.50.1.1"), tcp, 5432, []string{"ranges", "off"}},
		{"to a range of IPv6 that is open", workload, outside("fd50::1"), tcp, 5432, []string{"ranges", "off"}},

		{"to what is behind a Service", workload, behind, tcp, 5432, []string{"services", "off"}},
		{"to another port of it", workload, behind, tcp, 22, never},
		{"to a pod beside it", workload, stranger, tcp, 5432, never},
		{"to one like it in another namespace", workload, end{"team-c", behind.labels, "10.32.1.9"}, tcp, 5432, never},
		{"from the control plane to what is behind it", plane, behind, tcp, 5432, never},

		{"from a load balancer", outside("1.1.1.1"), workload, tcp, 8080, always},
		{"from a node", outside("192.168.5.9"), workload, tcp, 8080, always},
		{"from an ingress controller", stranger, workload, tcp, 8080, always},
		{"from a neighbour", neighbour, workload, tcp, 8080, always}, // its own policy keeps it in
		{"from the control plane", plane, workload, tcp, 8443, always},

		{"from anybody to the API", stranger, plane, tcp, 6443, always},
		{"from garret-apiserver to the issuer", stranger, plane, tcp, 8443, always},
		{"from anybody to metrics", stranger, plane, tcp, 8080, never},
		{"from anybody to the kubelet", stranger, plane, tcp, 10250, never},
		{"from the control plane to the host's API server", plane, outside("192.168.5.1"), tcp, 6443, always},
		{"from the control plane to a neighbour", plane, neighbour, tcp, 8080, never},
		{"from the control plane to a kubelet", plane, outside("192.168.5.9"), tcp, 10250, never},
		{"from the control plane to metadata", plane, outside("169.254.169.254"), tcp, 80, never},
		{"from the control plane to a datastore that it has not", plane, outside("10.0.0.5"), tcp, 5432, never},
		{"from the control plane to DNS", plane, hostDNS, udp, 53, always},
		{"from a pod of the host to another", stranger, outside("10.0.0.5"), tcp, 5432, always},
	} {
		for name := range settings {
			want := slices.Contains(c.open, name)
			if got := allows(t, rendered[name], c.from, c.to, c.protocol, c.port); got != want {
				t.Errorf("%s, %s: got %t, want %t", c.what, name, got, want)
			}
		}
	}
}

// TestNetworkPolicyOfEarlierReleases has the owner's switch let nothing out that the
// platform keeps in, and keep what it was for.
func TestNetworkPolicyOfEarlierReleases(t *testing.T) {
	off := testValues()
	off.Isolation.NetworkPolicy = NetworkPolicy{}
	got := render(t, off, parse(t, `networkPolicy: {enabled: true}`)).networkPolicies
	if len(got) != 1 || allows(t, got, stranger, plane, corev1.ProtocolTCP, 8080) || !allows(t, got, plane, outside("10.0.0.5"), corev1.ProtocolTCP, 5432) {
		t.Errorf("got %v, want one about what comes in", got)
	}
	if got := render(t, testValues(), parse(t, `networkPolicy: {enabled: false}`)).networkPolicies; len(got) != 2 {
		t.Errorf("got %v, want both", got)
	}
}

// TestDatastoreIsReached lets the control plane out to a datastore.
func TestDatastoreIsReached(t *testing.T) {
	values := testValues()
	values.ControlPlane.Datastore = Datastore{SecretName: "db", SecretKeys: []string{"endpoint"}}
	got := render(t, values, nil).networkPolicies
	if !allows(t, got, plane, outside("10.0.0.5"), corev1.ProtocolTCP, 5432) || allows(t, got, plane, outside("169.254.169.254"), corev1.ProtocolTCP, 80) {
		t.Error("want the datastore to be reached, and no metadata")
	}
	if allows(t, got, workload, outside("10.0.0.5"), corev1.ProtocolTCP, 5432) {
		t.Error("want no workload to reach the datastore of the control plane")
	}
}

// TestEmbeddedDNSIsReached lets the workloads of the virtual cluster, and nobody else, ask the syncer
// for names.
func TestEmbeddedDNSIsReached(t *testing.T) {
	pods, embedded := testValues(), testValues()
	embedded.DNS.Embedded = true
	without, with := render(t, pods, nil), render(t, embedded, nil)
	for name, from := range map[string]end{"an own pod": workload, "a neighbour's pod": neighbour, "a pod of the host": stranger, "the world": outside("1.1.1.1")} {
		for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			if got, want := allows(t, with.networkPolicies, from, plane, protocol, 1053), name == "an own pod"; got != want {
				t.Errorf("%s asks for names by %s: got %t, want %t", name, protocol, got, want)
			}
			if allows(t, without.networkPolicies, from, plane, protocol, 1053) {
				t.Errorf("%s reaches the port by %s, where pods answer", name, protocol)
			}
		}
		if allows(t, with.networkPolicies, from, plane, corev1.ProtocolTCP, 10250) {
			t.Errorf("%s reaches the kubelet", name)
		}
	}
	if flag := "--embedded-dns"; !slices.Contains(with.container(t, "syncer").Args, flag) || slices.Contains(without.container(t, "syncer").Args, flag) {
		t.Errorf("got arguments %q and %q", with.container(t, "syncer").Args, without.container(t, "syncer").Args)
	}
	labels := with.statefulSet.Spec.Template.Labels
	for key, value := range tenancyv1.ControlPlaneLabels(with.statefulSet.Name) {
		if labels[key] != value {
			t.Errorf("label %s of the control plane: got %q, want %q", key, labels[key], value)
		}
	}
}

// TestEgressSelector has all connections that a tenant steers go through the syncer.
func TestEgressSelector(t *testing.T) {
	for _, distro := range []string{"k3s", "k8s"} {
		values := testValues()
		values.Kubernetes.Distro = distro
		got := render(t, values, nil)
		var config apiserverv1beta1.EgressSelectorConfiguration
		text := got.statefulSet.Spec.Template.Annotations["tenancy.garret.dev/egress-selector"]
		if err := yaml.UnmarshalStrict([]byte(text), &config); err != nil {
			t.Fatalf("%s: %v", distro, err)
		}
		sockets := map[string]string{}
		for _, selection := range config.EgressSelections {
			if selection.Connection.ProxyProtocol != apiserverv1beta1.ProtocolType(apiserver.ProtocolHTTPConnect) {
				t.Errorf("%s: %s by %s, want HTTPConnect", distro, selection.Name, selection.Connection.ProxyProtocol)
			}
			sockets[selection.Name] = selection.Connection.Transport.UDS.UDSName
		}
		if sockets["cluster"] != "/run/garret/cluster.sock" || sockets["controlplane"] != "/run/garret/controlplane.sock" || len(sockets) != 2 {
			t.Errorf("%s: got sockets %v", distro, sockets)
		}
		for name, readOnly := range map[string]bool{"k3s": true, "syncer": false} {
			if !slices.ContainsFunc(got.container(t, name).VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.Name == "sockets" && m.MountPath == "/run/garret" && m.ReadOnly == readOnly
			}) {
				t.Errorf("%s: container %s does not mount the sockets", distro, name)
			}
		}
		if signer := "--kube-controller-manager-arg=cluster-signing-kubelet-serving-cert-file="; slices.Contains(got.container(t, "k3s").Args, signer) != (distro == "k3s") {
			t.Errorf("%s: got arguments %q", distro, got.container(t, "k3s").Args)
		}
	}
}

// TestPoliciesOfTenants has the workloads' policy give way to a tenant's, whose bounds are its
// rules. A pod that is taken out of it, and that no other policy lets out, reaches nothing.
func TestPoliciesOfTenants(t *testing.T) {
	const flag = "--workloads-egress="
	values := testValues()
	values.Isolation.NetworkPolicy = NetworkPolicy{Enabled: true, PublicEgress: true, AllowedRanges: []string{"10.50.0.0/16"}}
	without := render(t, values, nil)
	if len(without.networkPolicies) != 2 || slices.ContainsFunc(without.container(t, "syncer").Args, func(arg string) bool { return strings.HasPrefix(arg, flag) }) {
		t.Errorf("while the kind is off: got %v", without.networkPolicies)
	}
	values.Isolation.NetworkPolicy.Tenants = true
	got := render(t, values, nil)
	var bounds []networkingv1.NetworkPolicyEgressRule
	for _, arg := range got.container(t, "syncer").Args {
		if text, is := strings.CutPrefix(arg, flag); is {
			if err := yaml.UnmarshalStrict([]byte(text), &bounds); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := without.networkPolicies["vc-demo.workloads"].Spec.Egress; len(want) == 0 || !equality.Semantic.DeepEqual(bounds, want) {
		t.Errorf("bounds: got %v, want the rules of the workloads: %v", bounds, want)
	}
	policed := end{"team-a", map[string]string{"garret.dev/cluster": "0123456789", "garret.dev/egress": "tenant"}, "10.32.0.7"}
	for what, to := range map[string]end{"an own pod": sibling, "the own API": plane, "the host's DNS": hostDNS, "a neighbour": neighbour, "the world": outside("1.1.1.1"), "an open range": outside("10.50.1.1"), "metadata": outside("169.254.169.254")} {
		for _, port := range []int32{53, 80, 443, 6443} {
			if allows(t, got.networkPolicies, policed, to, corev1.ProtocolTCP, port) {
				t.Errorf("a pod without its policy reaches %s at %d", what, port)
			}
			if allows(t, got.networkPolicies, workload, to, corev1.ProtocolTCP, port) != allows(t, without.networkPolicies, workload, to, corev1.ProtocolTCP, port) {
				t.Errorf("%s at %d: another pod reaches something else than before", what, port)
			}
		}
	}
	values.Isolation.NetworkPolicy = NetworkPolicy{Tenants: true}
	if off := render(t, values, nil); len(off.networkPolicies) > 0 || slices.ContainsFunc(off.container(t, "syncer").Args, func(arg string) bool { return strings.HasPrefix(arg, flag) }) {
		t.Errorf("without policies of the release: got %v, want no bounds", off.networkPolicies)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// released are bounds as the chart of a virtual cluster has them, with a range that is open.
const released = `[
{"to":[{"podSelector":{"matchLabels":{"garret.dev/cluster":"c1"}}}]},
{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}}},{"ipBlock":{"cidr":"169.254.0.0/16"}}],
 "ports":[{"protocol":"UDP","port":53},{"protocol":"TCP","port":53}]},
{"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.0.0.0/8","169.254.0.0/16","192.168.0.0/16"]}},{"ipBlock":{"cidr":"::/0","except":["::/96","fc00::/7"]}}]},
{"to":[{"ipBlock":{"cidr":"10.50.0.0/16"}}]},
{"to":[{"podSelector":{"matchLabels":{"app.kubernetes.io/instance":"vc-demo"}}}],"ports":[{"protocol":"TCP","port":6443}]}]`

// target is where a packet goes. One without a namespace is outside.
type target struct {
	namespace string
	labels    map[string]string
	address   string
}

var targets = map[string]target{
	"an own pod":           {"team", map[string]string{"garret.dev/cluster": "c1", "garret.dev/virtual-namespace": "shop", "tenant.garret.dev/app": "db"}, "10.1.0.7"},
	"an own pod elsewhere": {"team", map[string]string{"garret.dev/cluster": "c1", "garret.dev/virtual-namespace": "ops"}, "10.1.0.8"},
	"a neighbour":          {"team", map[string]string{"garret.dev/cluster": "c2", "garret.dev/virtual-namespace": "shop", "tenant.garret.dev/app": "db"}, "10.1.0.9"},
	"the API inside":       {"team", map[string]string{"app.kubernetes.io/instance": "vc-demo"}, "10.1.0.2"},
	"another's API":        {"team", map[string]string{"app.kubernetes.io/instance": "vc-other"}, "10.1.0.3"},
	"the host's DNS":       {"kube-system", nil, "10.1.2.2"},
	"a pod of the host":    {"prod", map[string]string{"tenant.garret.dev/app": "db"}, "10.1.3.3"},
	"metadata":             {address: "169.254.169.254"},
	"a node":               {address: "192.168.5.9"},
	"the host's API":       {address: "10.96.0.1"},
	"a range that is open": {address: "10.50.1.1"},
	"the world":            {address: "1.1.1.1"},
	"the world by IPv6":    {address: "2606:4700::1"},
	"a private IPv6":       {address: "fd00:ec2::254"},
	"IPv4 within IPv6":     {address: "::ffff:10.96.0.1"},
}

// opens judges a packet by egress rules, as the API defines them. Pods have addresses, too.
func opens(t *testing.T, rules []networkingv1.NetworkPolicyEgressRule, to target, protocol corev1.Protocol, port int32) bool {
	t.Helper()
	is := func(selector *metav1.LabelSelector, set map[string]string) bool {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Matches(labels.Set(set))
	}
	reaches := func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil {
			return contains(*peer.IPBlock, netip.MustParseAddr(to.address))
		}
		if peer.NamespaceSelector != nil {
			return to.namespace != "" && is(peer.NamespaceSelector, map[string]string{corev1.LabelMetadataName: to.namespace}) && (peer.PodSelector == nil || is(peer.PodSelector, to.labels))
		}
		return to.namespace == "team" && is(peer.PodSelector, to.labels)
	}
	return slices.ContainsFunc(rules, func(rule networkingv1.NetworkPolicyEgressRule) bool {
		return (len(rule.Ports) == 0 || slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return portCovers(p, protocol, port) })) &&
			(len(rule.To) == 0 || slices.ContainsFunc(rule.To, reaches))
	})
}

// TestPoliciesOnlyNarrow sends packets everywhere under policies of an attacker and of an
// ordinary tenant: none gets out that the release keeps in, or that the policy itself forbids.
func TestPoliciesOnlyNarrow(t *testing.T) {
	bounds, err := ParseEgressBounds(released, "10.1.0.2", "10.96.7.7")
	if err != nil {
		t.Fatal(err)
	}
	const own = `podSelector: {matchLabels: {garret.dev/cluster: c1, garret.dev/virtual-namespace: shop}}`
	for name, test := range map[string]struct {
		rules  string
		open   []string // at TCP 8080
		closed []string
	}{
		"everything":               {`[{}]`, []string{"an own pod", "an own pod elsewhere", "a range that is open", "the world", "the world by IPv6", "IPv4 within IPv6"}, nil},
		"nothing":                  {`[]`, nil, nil},
		"every IPv4":               {`[{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]`, []string{"a range that is open", "the world"}, nil},
		"every IPv6":               {`[{to: [{ipBlock: {cidr: "::/0"}}]}]`, []string{"the world by IPv6", "IPv4 within IPv6"}, nil},
		"IPv4 within IPv6":         {`[{to: [{ipBlock: {cidr: "::ffff:0:0/96"}}]}]`, nil, []string{"::ffff:0:0/96"}},
		"metadata":                 {`[{to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 80}]}]`, nil, []string{"169.254.169.254/32"}},
		"metadata at every port":   {`[{to: [{ipBlock: {cidr: 169.254.169.254/32}}]}]`, nil, []string{"169.254.169.254/32"}},
		"metadata at a range":      {`[{to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 50, endPort: 90}]}]`, nil, []string{"169.254.169.254/32"}},
		"DNS of the node":          {`[{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{protocol: UDP, port: 53}]}]`, nil, nil},
		"the API by its address":   {`[{to: [{ipBlock: {cidr: 10.96.7.7/32}}]}]`, nil, nil},
		"nodes":                    {`[{to: [{ipBlock: {cidr: 192.168.5.0/24}}, {ipBlock: {cidr: 10.96.0.1/32}}]}]`, nil, []string{"192.168.5.0/24", "10.96.0.1/32"}},
		"the open range, and more": {`[{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.50.2.0/24]}}]}]`, []string{"a range that is open"}, nil},
		"but the open range":       {`[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.50.0.0/15]}}]}]`, []string{"the world"}, nil},
		"pods of a namespace":      {`[{to: [{` + own + `}]}]`, []string{"an own pod"}, nil},
		"pods at a port by name":   {`[{to: [{` + own + `}], ports: [{port: http}]}]`, nil, nil},
		"pods at another port":     {`[{to: [{` + own + `}], ports: [{port: 5432, endPort: 5440}]}]`, nil, nil},
		"pods at a range of ports": {`[{to: [{` + own + `}], ports: [{port: 8000, endPort: 9000}]}]`, []string{"an own pod"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var rules []networkingv1.NetworkPolicyEgressRule
			if err := yaml.UnmarshalStrict([]byte(test.rules), &rules); err != nil {
				t.Fatal(err)
			}
			within, closed := bounds.Narrow(rules)
			if !slices.Equal(closed, test.closed) {
				t.Errorf("closed: got %v, want %v", closed, test.closed)
			}
			for where, to := range targets {
				for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
					for _, port := range []int32{53, 80, 443, 6443, 8080, 8443, 10250} {
						got := opens(t, within, to, protocol, port)
						if got && !opens(t, bounds.rules, to, protocol, port) {
							t.Errorf("%s at %s %d: open, and the release keeps it closed", where, protocol, port)
						}
						// The API inside is known by its address, and by the port of its Service.
						if got && where != "the API inside" && !opens(t, rules, to, protocol, port) {
							t.Errorf("%s at %s %d: open, and the tenant forbids it", where, protocol, port)
						}
					}
				}
				if got, want := opens(t, within, to, corev1.ProtocolTCP, 8080), slices.Contains(test.open, where); got != want {
					t.Errorf("%s: open %t, want %t", where, got, want)
				}
			}
			for i, rule := range within {
				for _, peer := range rule.To {
					if peer.IPBlock != nil {
						validBlock(t, fmt.Sprintf("rule %d", i), *peer.IPBlock)
					}
				}
			}
		})
	}
}

// validBlock wants what Kubernetes accepts: exceptions strictly within their range.
func validBlock(t *testing.T, where string, block networkingv1.IPBlock) {
	t.Helper()
	all := netip.MustParsePrefix(block.CIDR)
	for _, text := range block.Except {
		if except := netip.MustParsePrefix(text); !all.Contains(except.Addr()) || except.Bits() <= all.Bits() {
			t.Errorf("%s: %s is not strictly within %s", where, text, block.CIDR)
		}
	}
}

// TestAPIInsideByAddress has a tenant open the API inside as anywhere, and nothing else of its pod.
func TestAPIInsideByAddress(t *testing.T) {
	bounds, err := ParseEgressBounds(released, "10.1.0.2", "10.96.7.7")
	if err != nil {
		t.Fatal(err)
	}
	for block, want := range map[string]bool{"10.1.0.2/32": true, "10.96.7.7/32": true, "10.1.0.3/32": false} {
		for port, wanted := range map[int32]bool{443: want, 6443: want, 8443: false} {
			tcp := corev1.ProtocolTCP
			within, _ := bounds.Narrow([]networkingv1.NetworkPolicyEgressRule{{
				To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: block}}},
				Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: ptr.To(intstr.FromInt32(port))}},
			}})
			if got := opens(t, within, targets["the API inside"], tcp, 6443); got != wanted {
				t.Errorf("%s at %d: API open %t, want %t", block, port, got, wanted)
			}
			if opens(t, within, targets["the API inside"], tcp, 8443) || opens(t, within, targets["another's API"], tcp, 6443) {
				t.Errorf("%s at %d opens more than the API inside", block, port)
			}
		}
	}
	var none *EgressBounds
	if got, closed := none.Narrow([]networkingv1.NetworkPolicyEgressRule{{}}); len(got) != 1 || len(closed) > 0 {
		t.Errorf("without bounds: got %v, closed %v, want the rule as it is", got, closed)
	}
}

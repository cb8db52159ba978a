// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func policy(name string, labels map[string]string, kinds ...networkingv1.PolicyType) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: labels}, PolicyTypes: kinds}}
}

// TestServices says to which Services connections wake.
func TestServices(t *testing.T) {
	const ingress, egress = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	set := func(change func(*corev1.Service)) *corev1.Service {
		return hostService("web", id, intstr.FromInt(80), change)
	}
	plain := set(func(*corev1.Service) {})
	for name, test := range map[string]struct {
		objects []runtime.Object
		// wakes and left say whether there is a port for the Service, and whether an Event names it.
		wakes, left bool
	}{
		"an ordinary one":                {[]runtime.Object{plain}, true, false},
		"a node port":                    {[]runtime.Object{set(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort })}, true, false},
		"one without an address":         {[]runtime.Object{set(func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", nil })}, false, false},
		"one of UDP":                     {[]runtime.Object{set(func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP })}, false, false},
		"one without a selector":         {[]runtime.Object{set(func(s *corev1.Service) { s.Spec.Selector = nil })}, false, false},
		"one that leads to others' pods": {[]runtime.Object{set(func(s *corev1.Service) { s.Spec.Selector[tenancyv1.LabelCluster] = other })}, false, false},
		"another virtual cluster's":      {[]runtime.Object{hostService("web", other, intstr.FromInt(80))}, false, false},
		"one that somebody labelled":     {[]runtime.Object{set(func(s *corev1.Service) { s.Annotations = nil })}, false, false},
		"under a policy of ingress":      {[]runtime.Object{plain, policy("closed", nil, ingress)}, false, true},
		"under a policy of its label":    {[]runtime.Object{plain, policy("closed", map[string]string{"app": "web"}, ingress)}, false, true},
		"under one of a further label":   {[]runtime.Object{plain, policy("closed", map[string]string{"tier": "front"}, ingress, egress)}, false, true},
		"under one that names no type":   {[]runtime.Object{plain, policy("closed", nil)}, false, true},
		"beside a policy of egress":      {[]runtime.Object{plain, policy("open", nil, egress)}, true, false},
		"beside another's policy":        {[]runtime.Object{plain, policy("closed", map[string]string{tenancyv1.LabelCluster: other}, ingress)}, true, false},
		"beside the release's policy":    {[]runtime.Object{plain, policy("vc-demo", map[string]string{"app.kubernetes.io/name": "x"}, ingress)}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, host, _ := newActivator(t, nil, test.objects...)
			left := guard(t, a, sleeper("demo", id, 1))
			if got := len(slicesOn(t, host)) == 1; got != test.wakes {
				t.Errorf("wakes: got %t, want %t", got, test.wakes)
			}
			if got := left["web"] != ""; got != test.left {
				t.Errorf("left out: got %v, want %t", left, test.left)
			}
		})
	}
}

// TestTargets has connections lead to nothing but ready pods of the Service that they reached.
func TestTargets(t *testing.T) {
	named := intstr.FromString("web")
	for name, test := range map[string]struct {
		target intstr.IntOrString
		object runtime.Object
		want   string
	}{
		"a ready pod":                {intstr.FromInt(8080), hostPod("web", id, "10.0.0.7"), "10.0.0.7:8080"},
		"a port by its name":         {named, hostPod("web", id, "10.0.0.7"), "10.0.0.7:8080"},
		"the Service's own port":     {intstr.IntOrString{}, hostPod("web", id, "10.0.0.7"), "10.0.0.7:80"},
		"a name that it has not":     {intstr.FromString("other"), hostPod("web", id, "10.0.0.7"), ""},
		"a pod of another Service":   {named, hostPod("shop", id, "10.0.0.7"), ""},
		"another virtual cluster's":  {named, hostPod("web", other, "10.0.0.7"), ""},
		"one that somebody labelled": {named, hostPod("web", id, "10.0.0.7", func(p *corev1.Pod) { p.Annotations = nil }), ""},
		"of another namespace":       {named, hostPod("web", id, "10.0.0.7", func(p *corev1.Pod) { p.Namespace = "other" }), ""},
		"one that is not ready":      {named, hostPod("web", id, "10.0.0.7", func(p *corev1.Pod) { p.Status.Conditions = nil }), ""},
		"one on its way out":         {named, hostPod("web", id, "10.0.0.7", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }), ""},
		"one that has ended":         {named, hostPod("web", id, "10.0.0.7", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), ""},
		"one with its node's":        {named, hostPod("web", id, "172.18.0.2"), ""},
		"a slice by hand": {named, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web-x", Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: hostManager}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.96.0.1"}}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := newActivator(t, nil, hostService("web", id, test.target), test.object)
			got, err := a.cluster(sleeper("demo", id, 1)).targets(t.Context(), gateKey{"uid-web", 80})
			if err != nil {
				t.Fatal(err)
			}
			var want []netip.AddrPort
			if test.want != "" {
				want = []netip.AddrPort{netip.MustParseAddrPort(test.want)}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	pod := hostPod("web", id, "10.0.0.7")
	for name, test := range map[string]struct {
		objects []runtime.Object
		key     gateKey
	}{
		"another Service of the name": {[]runtime.Object{pod, hostService("web", id, named)}, gateKey{"uid-earlier", 80}},
		"a port that it has no more":  {[]runtime.Object{pod, hostService("web", id, named)}, gateKey{"uid-web", 81}},
		"a policy that came since":    {[]runtime.Object{pod, hostService("web", id, named), policy("closed", nil)}, gateKey{"uid-web", 80}},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := newActivator(t, nil, test.objects...)
			if got, err := a.cluster(sleeper("demo", id, 1)).targets(t.Context(), test.key); err != nil || len(got) > 0 {
				t.Errorf("got %v, %v; want none", got, err)
			}
		})
	}
}

// TestSlices keeps one slice for each Service, and touches nobody else's.
func TestSlices(t *testing.T) {
	names := func(host map[string]discoveryv1.EndpointSlice) []string { return slices.Sorted(maps.Keys(host)) }
	stale := func(cluster string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "gone-" + cluster,
			Labels: map[string]string{discoveryv1.LabelManagedBy: sliceManager, tenancyv1.LabelActivatorOf: cluster, discoveryv1.LabelServiceName: "gone"}}}
	}
	hosts := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web-host",
		Labels: map[string]string{discoveryv1.LabelManagedBy: hostManager, tenancyv1.LabelActivatorOf: id, discoveryv1.LabelServiceName: "web"}}}
	a, host, _ := newActivator(t, nil, hostService("web", id, intstr.FromInt(80)), stale(id), stale(other), hosts)
	vc := sleeper("demo", id, 1)
	guard(t, a, vc)
	if got, want := names(slicesOn(t, host)), []string{"gone-" + other, "web-activator-ipv4", "web-host"}; !slices.Equal(got, want) {
		t.Errorf("asleep: got %v, want %v", got, want)
	}
	before := slicesOn(t, host)["web-activator-ipv4"]
	guard(t, a, vc)
	if after := slicesOn(t, host)["web-activator-ipv4"]; *after.Ports[0].Port != *before.Ports[0].Port {
		t.Errorf("the port changed from %d to %d", *before.Ports[0].Port, *after.Ports[0].Port)
	}
	// Another replica leads: its slices stay when this one ends.
	moved := slicesOn(t, host)["web-activator-ipv4"]
	moved.Endpoints[0].Addresses = []string{"127.0.0.9"}
	if _, err := host.DiscoveryV1().EndpointSlices("team").Update(t.Context(), &moved, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	a.Stop(context.Background())
	if got := slicesOn(t, host); got["web-activator-ipv4"].Name == "" {
		t.Errorf("another replica's slice is gone: %v", names(got))
	}
	// One that begins takes them over, whether the virtual cluster still sleeps or not.
	next := New(a.Options)
	guard(t, next, vc)
	if got := slicesOn(t, host)["web-activator-ipv4"]; got.Endpoints[0].Addresses[0] != "127.0.0.1" {
		t.Errorf("got %v, want the address of who leads", got.Endpoints)
	}
	next.Stop(context.Background())
	if got, want := names(slicesOn(t, host)), []string{"gone-" + other, "web-host"}; !slices.Equal(got, want) {
		t.Errorf("after the end: got %v, want %v", got, want)
	}
	last := New(a.Options)
	if err := last.Awake(t.Context(), awake(sleeper("other", other, 2))); err != nil {
		t.Fatal(err)
	}
	if got, want := names(slicesOn(t, host)), []string{"web-host"}; !slices.Equal(got, want) {
		t.Errorf("what an earlier process left of one that is awake: got %v, want %v", got, want)
	}
}

// TestWithoutAddresses holds nothing where nobody could reach it.
func TestWithoutAddresses(t *testing.T) {
	a := New(Options{})
	vc := sleeper("demo", id, 1)
	if left, err := a.Guard(t.Context(), vc); a != nil || left != nil || err != nil {
		t.Errorf("got %v, %v, %v", a, left, err)
	}
	if a.Awake(t.Context(), vc) != nil || a.Close(t.Context(), vc) != nil {
		t.Error("a missing activator failed")
	}
	a.Stop(t.Context())
}

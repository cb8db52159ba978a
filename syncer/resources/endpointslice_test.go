// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// slicesUnderTest carry slices for a cluster with these pods on the host.
func slicesUnderTest(t *testing.T, ranges []string, pods ...*corev1.Pod) (*endpointSlices, chan string) {
	t.Helper()
	parsed, err := tenancyv1.ParseAddressRanges(ranges)
	if err != nil {
		t.Fatal(err)
	}
	recorder := record.NewFakeRecorder(10)
	b := &builder{notices: newNotices(recorder), Config: Config{
		Translator: testTranslator(), Recorder: recorder,
		Virtual: NewVirtual(fake.NewClientset()), Host: NewHost(fake.NewClientset(), testTranslator().Cluster(), ShownNodes{}),
	}}
	b.Host.Pods.Follow()
	b.Virtual.EndpointSlices.Follow()
	for _, pod := range pods {
		if err := b.Host.Pods.Indexer().Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	return &endpointSlices{builder: b, ranges: parsed, pods: true}, recorder.Events
}

func hostPodAt(name string, change func(*corev1.Pod), ips ...string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ips[0]}}
	for _, ip := range ips {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	if change != nil {
		change(pod)
	}
	return pod
}

func sliceOf(kind discoveryv1.AddressType, addresses ...string) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "by-hand", UID: types.UID("u-1"), Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: kind,
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod"}})
	}
	return slice
}

func carried(t *testing.T, s *endpointSlices, virtual *discoveryv1.EndpointSlice) []string {
	t.Helper()
	host := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}}}
	if err := s.apply(virtual, host); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, endpoint := range host.Endpoints {
		if endpoint.TargetRef != nil {
			t.Errorf("what %v is inside is told on the host", endpoint.Addresses)
		}
		addresses = append(addresses, endpoint.Addresses...)
	}
	return addresses
}

// TestAddressesOfSlices carries no address but those of own pods and of opened ranges.
func TestAddressesOfSlices(t *testing.T) {
	s, _ := slicesUnderTest(t, []string{"192.0.2.0/28", "2001:db8:1::/64"},
		hostPodAt("own", nil, "10.0.0.7", "2001:db8::7"),
		hostPodAt("of-the-node", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "10.1.0.1"),
		hostPodAt("ended", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, "10.0.0.8"),
		hostPodAt("failed", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, "10.0.0.9"),
		// An address is an ended pod's and a running one's.
		hostPodAt("before", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, "10.0.0.10"), hostPodAt("after", nil, "10.0.0.10"),
	)
	for name, test := range map[string]struct {
		kind            discoveryv1.AddressType
		addresses, want []string
	}{
		"own pod":                     {discoveryv1.AddressTypeIPv4, []string{"10.0.0.7"}, []string{"10.0.0.7"}},
		"own pod's second address":    {discoveryv1.AddressTypeIPv6, []string{"2001:db8::7"}, []string{"2001:db8::7"}},
		"in longer words":             {discoveryv1.AddressTypeIPv6, []string{"2001:0db8:0::0007"}, []string{"2001:0db8:0::0007"}},
		"opened ranges":               {discoveryv1.AddressTypeIPv4, []string{"192.0.2.15", "192.0.2.16"}, []string{"192.0.2.15"}},
		"opened range of IPv6":        {discoveryv1.AddressTypeIPv6, []string{"2001:db8:1::9", "2001:db8:2::9"}, []string{"2001:db8:1::9"}},
		"the host's API server":       {discoveryv1.AddressTypeIPv4, []string{"10.96.0.1", "172.18.0.2"}, nil},
		"the same, dressed as IPv6":   {discoveryv1.AddressTypeIPv6, []string{"::ffff:172.18.0.2"}, nil},
		"a node, through a pod on it": {discoveryv1.AddressTypeIPv4, []string{"10.1.0.1"}, nil},
		"an ended pod":                {discoveryv1.AddressTypeIPv4, []string{"10.0.0.8", "10.0.0.9"}, nil},
		"taken over by another":       {discoveryv1.AddressTypeIPv4, []string{"10.0.0.10"}, []string{"10.0.0.10"}},
		"another's pod":               {discoveryv1.AddressTypeIPv4, []string{"10.0.0.6"}, nil},
		"no address":                  {discoveryv1.AddressTypeIPv4, []string{"010.0.0.7", "localhost", "", "10.0.0.7/32"}, nil},
		"own among others":            {discoveryv1.AddressTypeIPv4, []string{"172.18.0.2", "10.0.0.7", "10.0.0.6"}, []string{"10.0.0.7"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := carried(t, s, sliceOf(test.kind, test.addresses...)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	named := sliceOf(discoveryv1.AddressTypeFQDN, "api.example.com")
	if err := s.apply(named, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}}}); err == nil || !strings.Contains(err.Error(), "FQDN") {
		t.Errorf("a slice of names: got %v, want it refused", err)
	}
	// A cluster whose pods stay inside has none on the host.
	s.pods = false
	if got := carried(t, s, sliceOf(discoveryv1.AddressTypeIPv4, "10.0.0.7", "192.0.2.1")); !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("without pods: got %v, want the opened range alone", got)
	}
}

// TestLeftOutAddressesAreTold once, until they change.
func TestLeftOutAddressesAreTold(t *testing.T) {
	s, events := slicesUnderTest(t, nil, hostPodAt("own", nil, "10.0.0.7"))
	told := func() string {
		select {
		case event := <-events:
			return event
		default:
			return ""
		}
	}
	slice := sliceOf(discoveryv1.AddressTypeIPv4, "10.0.0.7", "172.18.0.2")
	carried(t, s, slice)
	event := told()
	for _, part := range []string{"Warning " + reasonAddresses, "172.18.0.2", "spec.isolation.endpointRanges of the HostCluster"} {
		if !strings.Contains(event, part) {
			t.Errorf("got %q, want %q in it", event, part)
		}
	}
	if strings.Contains(event, "10.0.0.7") {
		t.Errorf("got %q, which names what is carried", event)
	}
	if carried(t, s, slice); told() != "" {
		t.Error("the same was told twice")
	}
	slice.Endpoints = slice.Endpoints[:1]
	if carried(t, s, slice); told() != "" {
		t.Error("something was told where nothing is left out")
	}
	many := sliceOf(discoveryv1.AddressTypeIPv4, "1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6", "1.1.1.7")
	carried(t, s, many)
	if event := told(); !strings.Contains(event, "1.1.1.5 and 2 more") {
		t.Errorf("got %q, want a bounded list", event)
	}
}

// TestPodsBringTheirSlices has every change of a pod's addresses lead to a pass over the slices that name them.
func TestPodsBringTheirSlices(t *testing.T) {
	s, _ := slicesUnderTest(t, nil)
	if err := s.Virtual.EndpointSlices.Indexer().Add(sliceOf(discoveryv1.AddressTypeIPv4, "10.0.0.7", "10.0.0.8")); err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]int{"10.0.0.7": 1, "10.0.0.8": 1, "10.0.0.9": 0, "": 0} {
		if got := s.slicesWith(hostPodAt("own", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, ip)); len(got) != want {
			t.Errorf("a pod at %q concerns %v, want %d slices", ip, got, want)
		}
	}
}

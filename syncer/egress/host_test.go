// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

const namespace = "team"

func pod(name, id, address string, change func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: meta(name, id)}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, HostIP: "192.168.5.9", HostIPs: []corev1.HostIP{{IP: "192.168.5.9"}, {IP: "fd12::9"}}}
	if change != nil {
		change(pod)
	}
	return pod
}

func service(name, id, address string, change func(*corev1.Service)) *corev1.Service {
	service := &corev1.Service{ObjectMeta: meta(name, id)}
	service.Spec = corev1.ServiceSpec{ClusterIP: address, Selector: map[string]string{"app": name},
		Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(8443)}, {Port: 53, Protocol: corev1.ProtocolUDP}}}
	if change != nil {
		change(service)
	}
	return service
}

func meta(name, id string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{tenancyv1.LabelCluster: id},
		Annotations: map[string]string{tenancyv1.AnnotationVirtualName: name, tenancyv1.AnnotationVirtualNamespace: "default"}}
}

func newHost(t *testing.T, objects ...runtime.Object) *Host {
	t.Helper()
	host := NewHost(fake.NewClientset(objects...), translate.Cluster{ID: "mine", Name: "demo", HostNamespace: namespace}, netip.MustParseAddr("192.168.5.1"))
	// The fake serves no discovery.
	host.servers, host.askAgain = []netip.Addr{netip.MustParseAddr("192.168.5.2")}, time.Now().Add(time.Hour)
	return host
}

// TestWhatIsOwn looks both into caches and at the host.
func TestWhatIsOwn(t *testing.T) {
	t.Parallel()
	pods := []*corev1.Pod{
		pod("web", "mine", "10.32.0.7", func(pod *corev1.Pod) {
			pod.Status.PodIPs = []corev1.PodIP{{IP: "10.32.0.7"}, {IP: "fd32::7"}}
		}),
		pod("neighbour", "theirs", "10.32.0.8", nil),
		pod("done", "mine", "10.32.0.9", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodSucceeded }),
		pod("failed", "mine", "10.32.0.10", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }),
		pod("agent", "mine", "192.168.5.9", func(pod *corev1.Pod) { pod.Spec.HostNetwork = true }),
		pod("odd", "mine", "192.168.5.9", nil),
		pod("stranger", "mine", "10.32.0.11", func(pod *corev1.Pod) { pod.Annotations = nil }),
		pod("elsewhere", "mine", "10.32.0.12", func(pod *corev1.Pod) { pod.Namespace = "other" }),
	}
	services := []*corev1.Service{
		service("web", "mine", "10.96.0.70", nil),
		service("neighbour", "theirs", "10.96.0.71", nil),
		service("anything", "mine", "10.96.0.72", func(service *corev1.Service) { service.Spec.Selector = nil }),
		service("headless", "mine", corev1.ClusterIPNone, nil),
	}
	cached := Caches{Pods: cache.NewStore(cache.MetaNamespaceKeyFunc), Services: cache.NewStore(cache.MetaNamespaceKeyFunc)}
	var objects []runtime.Object
	for _, pod := range pods {
		_ = cached.Pods.Add(pod)
		objects = append(objects, pod)
	}
	for _, service := range services {
		_ = cached.Services.Add(service)
		objects = append(objects, service)
	}
	warm := newHost(t)
	cached.Nodes = cache.NewStore(cache.MetaNamespaceKeyFunc)
	_ = cached.Nodes.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "shown"}, Status: corev1.NodeStatus{
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "shown"}, {Type: corev1.NodeInternalIP, Address: "192.168.5.7"}}}})
	warm.Follow(cached)
	for name, host := range map[string]*Host{"by the caches": warm, "by the host": newHost(t, objects...)} {
		for target, want := range map[string]bool{
			"10.32.0.7:80": true, "10.32.0.7:10250": true, "[fd32::7]:80": true, "10.96.0.70:443": true,
			"10.96.0.70:80": false, "10.96.0.70:53": false, "10.96.0.70:8443": false,
			"10.32.0.8:80": false, "10.32.0.9:80": false, "10.32.0.10:80": false, "10.32.0.11:80": false, "10.32.0.12:80": false,
			"192.168.5.9:10250": false, "10.96.0.71:443": false, "10.96.0.72:443": false, "10.32.0.99:80": false,
		} {
			got, err := host.Has(t.Context(), netip.MustParseAddrPort(target))
			if err != nil || got != want {
				t.Errorf("%s %s: got %t, %v, want %t", target, name, got, err, want)
			}
		}
	}
	for address, want := range map[string]bool{"192.168.5.9": true, "fd12::9": true, "192.168.5.1": true, "192.168.5.2": true, "192.168.5.7": true, "10.32.0.7": false} {
		if got := warm.Hosts(t.Context(), netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is a node: got %t, want %t", address, got, want)
		}
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// TestNodeStatus says what a node tells of itself, where the host's may not be read and
// where it may.
func TestNodeStatus(t *testing.T) {
	cluster := translate.Cluster{ID: "one", Name: "demo", HostNamespace: "team", PodIP: "10.0.0.9"}
	here, err := thisMachine()
	if err != nil {
		t.Fatal(err)
	}
	real := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker"}, Status: corev1.NodeStatus{
		NodeInfo:         corev1.NodeSystemInfo{OSImage: "Debian", KernelVersion: "6.1", ContainerRuntimeVersion: "containerd://2.4.2", KubeletVersion: "v1.36.0"},
		DeclaredFeatures: []string{"InPlacePodVerticalScalingInitContainers"},
		Capacity:         corev1.ResourceList{corev1.ResourcePods: *here.capacity.Pods()}, Allocatable: corev1.ResourceList{corev1.ResourcePods: *here.capacity.Pods()},
	}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", Labels: map[string]string{tenancyv1.LabelCluster: "one"}},
		Spec:       corev1.PodSpec{NodeName: "worker"},
		Status: corev1.PodStatus{HostIPs: []corev1.HostIP{{IP: "192.0.2.1"}, {IP: "2001:db8::1"}},
			ContainerStatuses: []corev1.ContainerStatus{{}, {ContainerID: "cri-o://abc"}}},
	}
	for _, test := range []struct {
		name                        string
		read                        bool
		image, kernel, run, kubelet string
		features                    []string
	}{
		{"hidden", false, unknownImage, here.kernel, "cri-o://unknown", "v1.37.2", []string{"ExtendWebSocketsToKubelet", "InPlacePodLevelResourcesVerticalScaling",
			"InPlacePodVerticalScalingInitContainers", "InPlacePodVerticalScalingMemoryBackedVolumes"}},
		{"shown", true, "Debian", "6.1", "containerd://2.4.2", "v1.36.0", []string{"ExtendWebSocketsToKubelet", "InPlacePodVerticalScalingInitContainers"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := NewHost(fake.NewClientset(), cluster, ShownNodes{Read: test.read})
			host.Pods.Follow()
			if err := host.Pods.Indexer().Add(pod); err != nil {
				t.Fatal(err)
			}
			if test.read {
				host.Nodes.Follow()
				if err := host.Nodes.Indexer().Add(real); err != nil {
					t.Fatal(err)
				}
			}
			n := &nodes{translator: translate.New(cluster), host: host, kubeletPort: 10250, kubeletVersion: "v1.37.2", machine: here, clock: clock.RealClock{}}
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker"}}
			n.status(node)
			info := node.Status.NodeInfo
			if info.OSImage != test.image || info.KernelVersion != test.kernel || info.ContainerRuntimeVersion != test.run || info.KubeletVersion != test.kubelet {
				t.Errorf("got %+v", info)
			}
			var addresses []string
			for _, address := range node.Status.Addresses {
				addresses = append(addresses, string(address.Type)+"="+address.Address)
			}
			if got, want := strings.Join(addresses, " "), "InternalIP=192.0.2.1 InternalIP=2001:db8::1 InternalDNS=10.0.0.9 Hostname=worker"; got != want {
				t.Errorf("addresses: got %s, want %s", got, want)
			}
			if node.Status.Capacity.Pods().Value() != podsPerNode || !test.read && (node.Status.Allocatable.Memory().IsZero() || node.Status.Capacity.StorageEphemeral().IsZero()) {
				t.Errorf("got capacity %v, allocatable %v", node.Status.Capacity, node.Status.Allocatable)
			}
			if got := node.Status.DeclaredFeatures; !slices.Equal(got, test.features) {
				t.Errorf("declared features: got %v, want %v", got, test.features)
			}
			if node.Status.DaemonEndpoints.KubeletEndpoint.Port != 10250 {
				t.Errorf("got the kubelet at %v", node.Status.DaemonEndpoints)
			}
		})
	}
}

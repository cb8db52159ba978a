// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

func TestHostNodesTellExtendedResources(t *testing.T) {
	node := func(name string, resources ...corev1.ResourceName) *corev1.Node {
		list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), "hugepages-2Mi": resource.MustParse("1Gi"), corev1.ResourcePods: resource.MustParse("110")}
		for i, each := range resources {
			list[each] = *resource.NewQuantity(int64(i), resource.DecimalSI)
		}
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"a": "b"}}, Spec: corev1.NodeSpec{PodCIDR: "10.0.0.0/24"}, Status: corev1.NodeStatus{Capacity: list}}
	}
	h := newHostNodes(fake.NewClientset(node("one", "nvidia.com/gpu"), node("two", "nvidia.com/gpu", "intel.com/qat")))
	if told, known := h.status(); told != nil || known {
		t.Errorf("before the nodes are known: got %v, want nothing told", told)
	}
	h.factory.Start(t.Context().Done())
	t.Cleanup(h.factory.Shutdown)
	if !cache.WaitForCacheSync(t.Context().Done(), h.nodes.HasSynced) {
		t.Fatal("the nodes are not known")
	}
	if told, known := h.status(); told == nil || !known || !slices.Equal(told.Resources, []string{"intel.com/qat", "nvidia.com/gpu"}) {
		t.Errorf("got %v, want both resources, though a node has none of one", told)
	}
	if !h.changed() || h.changed() {
		t.Error("the names are news once")
	}
	kept, _, err := h.nodes.GetStore().GetByKey("two")
	if err != nil || kept.(*corev1.Node).Labels != nil || len(kept.(*corev1.Node).Status.Capacity) != 2 || kept.(*corev1.Node).Spec.PodCIDR != "" {
		t.Errorf("got %v, %v, want the extended resources alone to be kept", kept, err)
	}
	many := node("many")
	for i := range maxHostResources {
		many.Status.Capacity[corev1.ResourceName(fmt.Sprintf("example.com/r%d", i))] = resource.MustParse("1")
	}
	trimmed, err := trimNode(many)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes.GetStore().Add(trimmed); err != nil {
		t.Fatal(err)
	}
	if told, known := h.status(); told != nil || !known {
		t.Errorf("of more than a status holds: got %d, want nothing told", len(told.Resources))
	}
}

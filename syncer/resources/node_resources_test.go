// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func TestMayBeOn(t *testing.T) {
	node := func(name string, labels map[string]string) *corev1.Node {
		labels[corev1.LabelHostname] = name
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	fast, plain := node("fast", map[string]string{"disk": "ssd"}), node("plain", map[string]string{})
	shut := node("shut", map[string]string{})
	shut.Spec.Unschedulable = true
	mirrors := map[string]*corev1.Node{"fast": fast, "plain": plain, "shut": shut}
	required := func(terms ...corev1.NodeSelectorTerm) corev1.PodSpec {
		return corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}}
	}
	term := func(key string, values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}}}
	}
	tests := map[string]struct {
		spec corev1.PodSpec
		want []string
	}{
		"anywhere but where it is shut":      {corev1.PodSpec{}, []string{"fast", "plain"}},
		"where the taint is tolerated":       {corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}}, []string{"fast", "plain", "shut"}},
		"by a label of the tenant's":         {corev1.PodSpec{NodeSelector: map[string]string{"disk": "ssd"}}, []string{"fast"}},
		"by the name of the host":            {corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelHostname: "plain"}}, []string{"plain"}},
		"by a label that only the host told": {corev1.PodSpec{NodeSelector: map[string]string{"pool": "gold", "disk": "ssd"}}, []string{"fast"}},
		"by an affinity":                     {required(term("disk", "ssd")), []string{"fast"}},
		"by one that only the host can tell": {required(term("pool", "gold")), []string{"fast", "plain"}},
		"by one of two":                      {required(term("disk", "hdd"), term(corev1.LabelHostname, "plain")), []string{"plain"}},
		"by the name of the node":            {required(corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{named(corev1.NodeSelectorOpIn, "plain")}}), []string{"plain"}},
		"by nothing":                         {required(corev1.NodeSelectorTerm{}), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			n, wanted := &nodes{host: &Host{}}, map[string]bool{}
			for _, name := range tc.want {
				wanted[name] = true
			}
			for name, node := range mirrors {
				if got := n.mayBeOn(&corev1.Pod{Spec: tc.spec}, node, shownLabels(mirrors)); got != wanted[name] {
					t.Errorf("node %s: got %t, want %t", name, got, wanted[name])
				}
			}
		})
	}
}

// TestWhoseResourcesAre has a tenant write all sorts of resources on a node.
func TestWhoseResourcesAre(t *testing.T) {
	written := []corev1.ResourceName{"cpu", "memory", "pods", "ephemeral-storage", "hugepages-2Mi", "attachable-volumes-csi-x", "nvidia.com/gpu", "example.com/seat"}
	tell := func(names ...string) *tenancyv1.VirtualCluster {
		return &tenancyv1.VirtualCluster{Status: tenancyv1.VirtualClusterStatus{HostNodes: &tenancyv1.HostNodesStatus{Resources: names}}}
	}
	tests := map[string]struct {
		told *tenancyv1.VirtualCluster
		// kept stay on the node, inside are not asked of the host.
		kept, inside []corev1.ResourceName
	}{
		"nothing is known":        {&tenancyv1.VirtualCluster{}, []corev1.ResourceName{"nvidia.com/gpu", "example.com/seat"}, nil},
		"the host has devices":    {tell("nvidia.com/gpu"), []corev1.ResourceName{"example.com/seat"}, []corev1.ResourceName{"example.com/seat"}},
		"the host has no devices": {tell(), []corev1.ResourceName{"nvidia.com/gpu", "example.com/seat"}, []corev1.ResourceName{"nvidia.com/gpu", "example.com/seat"}},
		"the host has both":       {tell("example.com/seat", "nvidia.com/gpu"), nil, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			host, changes := NewHostResources(), 0
			host.watch(func() { changes++ })
			host.Observe(tc.told)
			host.Observe(tc.told)
			if known := tc.told.Status.HostNodes != nil; known != (changes == 1) || changes > 1 {
				t.Errorf("got %d changes, want one where the status names the host's resources", changes)
			}
			capacity := corev1.ResourceList{}
			for _, name := range written {
				capacity[name] = resource.MustParse("77")
			}
			node := &corev1.Node{Status: corev1.NodeStatus{Capacity: corev1.ResourceList{"cpu": resource.MustParse("2")}, Allocatable: corev1.ResourceList{"cpu": resource.MustParse("1")}}}
			(&nodes{host: &Host{}, resources: host}).keepTenants(node, capacity)
			if got := node.Status.Capacity.Cpu(); got.Value() != 2 || node.Status.Allocatable.Cpu().Value() != 1 {
				t.Errorf("processors: got %v, want the host's", got)
			}
			for _, name := range written[1:] {
				for _, list := range []corev1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
					if got, want := has(list, name), slices.Contains(tc.kept, name); got != want {
						t.Errorf("%s is on the node: got %t, want %t", name, got, want)
					}
				}
				if got, want := host.none(name), slices.Contains(tc.inside, name); got != want {
					t.Errorf("%s is not asked of the host: got %t, want %t", name, got, want)
				}
			}
		})
	}
}

// TestWaitingPods names those that a change of a node, or of what the host has, may concern.
func TestWaitingPods(t *testing.T) {
	p := &pods{virtual: NewVirtual(fake.NewClientset())}
	p.virtual.Pods.Follow()
	for name, node := range map[string]string{"unplaced": "", "there": "n1", "elsewhere": "n2"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
		if err := p.virtual.Pods.Indexer().Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	names := func(keys []types.NamespacedName) (names []string) {
		for _, key := range keys {
			names = append(names, key.Name)
		}
		slices.Sort(names)
		return names
	}
	if got := names(p.ofNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})); !slices.Equal(got, []string{"there", "unplaced"}) {
		t.Errorf("a change of n1 concerns %q", got)
	}
	if got := names(p.waiting("")); !slices.Equal(got, []string{"unplaced"}) {
		t.Errorf("a change of what the host has concerns %q", got)
	}
}

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
	"k8s.io/utils/lru"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
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
				if got := n.mayBeOn(&corev1.Pod{Spec: tc.spec}, node, mirroredLabels(mirrors)); got != wanted[name] {
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

// TestPlaceOfBefore has a syncer that has just started, which knows of no decision, go by the host.
func TestPlaceOfBefore(t *testing.T) {
	n := shownNodes(t, ShownNodes{})
	virtual := NewVirtual(fake.NewClientset())
	virtual.Nodes.Follow()
	known := NewHostResources()
	mirror := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{tenancyv1.LabelCluster: n.translator.Cluster().ID}},
		Status: corev1.NodeStatus{Capacity: corev1.ResourceList{"example.com/seat": resource.MustParse("2")}}}
	if err := virtual.Nodes.Indexer().Add(mirror); err != nil {
		t.Fatal(err)
	}
	places := &places{translator: n.translator, virtual: virtual, host: n.host, nodes: n, inside: insideResources{virtual, known, n.translator.Cluster().ID}, given: map[types.UID]string{}}
	p := &pods{translator: n.translator, virtual: virtual, places: places, nodes: n, known: lru.New(1)}
	asking := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"example.com/seat": resource.MustParse("1")}}}}}}
	}
	onHost := func(name, place string) *corev1.Pod {
		host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: n.translator.Cluster().HostNamespace, Name: n.translator.HostName("default", name)}}
		n.translator.Mark(host, translate.IdentityFor(asking(name)), nil, nil)
		if place != "" {
			host.Annotations[annotationInside], host.Annotations[annotationPlace] = "example.com/seat", place
		}
		if err := n.host.Pods.Indexer().Add(host); err != nil {
			t.Fatal(err)
		}
		return host
	}
	placed := onHost("placed", "n1")
	if p.Outdated(asking("placed"), placed) {
		t.Error("a placed pod is made again while nobody knows what the host has")
	}
	known.Observe(&tenancyv1.VirtualCluster{Status: tenancyv1.VirtualClusterStatus{HostNodes: &tenancyv1.HostNodesStatus{}}})
	if node, waits := places.of(asking("placed")); node != "n1" || waits {
		t.Errorf("a placed pod has the node %q, and waits: %t; want that of the host's pod", node, waits)
	}
	asksHost := onHost("asks", "")
	wanted, err := p.Wanted(t.Context(), asking("asks"))
	if err != nil || !wanted || !p.Outdated(asking("asks"), asksHost) {
		t.Errorf("a pod that asks the host: wanted %t, %v; want it outdated, so that it goes as it was seen", wanted, err)
	}
	if wanted, err := p.Wanted(t.Context(), asking("new")); err != nil || wanted {
		t.Errorf("a pod without a place is wanted on the host: %t, %v", wanted, err)
	}
}

// TestANodeThatReportsNothing keeps what a tenant gave it.
func TestANodeThatReportsNothing(t *testing.T) {
	node := &corev1.Node{}
	(&nodes{host: &Host{}, resources: NewHostResources()}).keepTenants(node, corev1.ResourceList{"example.com/seat": resource.MustParse("2")})
	if !has(node.Status.Capacity, "example.com/seat") || !has(node.Status.Allocatable, "example.com/seat") {
		t.Errorf("got %v and %v, want the tenant's resource", node.Status.Capacity, node.Status.Allocatable)
	}
}

// TestTaintsOfTheHostCount keeps a pod from a node that the host would not let it onto, whether the
// tenant sees the taint or not.
func TestTaintsOfTheHostCount(t *testing.T) {
	taint := corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}
	tolerates := []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
	for _, hidden := range []bool{false, true} {
		n := shownNodes(t, ShownNodes{HideTaints: hidden}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: corev1.NodeSpec{Taints: []corev1.Taint{taint}}})
		mirror := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
		if n.mayBeOn(&corev1.Pod{}, mirror, nil) {
			t.Errorf("hidden %t: a pod may be on a node with a taint that it does not tolerate", hidden)
		}
		if !n.mayBeOn(&corev1.Pod{Spec: corev1.PodSpec{Tolerations: tolerates}}, mirror, nil) {
			t.Errorf("hidden %t: a pod that tolerates the taint may not be there", hidden)
		}
		n.tolerations = tolerates
		if !n.mayBeOn(&corev1.Pod{}, mirror, nil) {
			t.Errorf("hidden %t: the rules for all pods tolerate the taint, and a pod may not be there", hidden)
		}
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
)

// shownNodes are the nodes of a host that has these.
func shownNodes(t *testing.T, shown ShownNodes, real ...*corev1.Node) *nodes {
	t.Helper()
	shown.Read = true
	host := NewHost(fake.NewClientset(), testTranslator().Cluster(), shown)
	host.Nodes.Follow()
	host.Pods.Follow()
	for _, node := range real {
		if err := host.Nodes.Indexer().Add(node); err != nil {
			t.Fatal(err)
		}
	}
	return &nodes{translator: testTranslator(), host: host, clock: clock.RealClock{}}
}

// TestWhatIsShownOfANode has a node inside follow the host's, by the rules, while a tenant writes on it.
func TestWhatIsShownOfANode(t *testing.T) {
	taint := func(key, value string) corev1.Taint {
		return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule}
	}
	real := func(labels map[string]string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker", Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	const tenants = "disk=fast"
	for name, test := range map[string]struct {
		shown       ShownNodes
		tolerations []corev1.Toleration
		// labels and taints are those of the node inside, before and after the host's changes.
		labels, taints, labelsLater, taintsLater string
	}{
		"everything": {labels: "pool=gold " + tenants + " zone=1", taints: "db= infra=yes mine=", labelsLater: tenants + " zone=2", taintsLater: "mine= new="},
		"some labels": {shown: ShownNodes{Labels: tenancyv1.NodeLabels{Shown: []string{"zo*"}}},
			labels: tenants + " zone=1", taints: "db= infra=yes mine=", labelsLater: tenants + " zone=2", taintsLater: "mine= new="},
		"added": {shown: ShownNodes{Labels: tenancyv1.NodeLabels{Added: map[string]string{"zone": "ours"}}},
			labels: "pool=gold " + tenants + " zone=ours", taints: "db= infra=yes mine=", labelsLater: tenants + " zone=ours", taintsLater: "mine= new="},
		"no taints": {shown: ShownNodes{HideTaints: true}, labels: "pool=gold " + tenants + " zone=1", taints: "mine=", labelsLater: tenants + " zone=2", taintsLater: "mine="},
		"tolerated by rule": {tolerations: []corev1.Toleration{{Key: "infra", Operator: corev1.TolerationOpExists}}, labels: "pool=gold " + tenants + " zone=1",
			taints: "db= mine=", labelsLater: tenants + " zone=2", taintsLater: "mine= new="},
	} {
		t.Run(name, func(t *testing.T) {
			n := shownNodes(t, test.shown, real(map[string]string{"pool": "gold", "zone": "1", corev1.LabelHostname: "other"},
				taint("infra", "yes"), taint("db", ""), taint(corev1.TaintNodeNotReady, "")))
			n.tolerations = test.tolerations
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker"}}
			same := func(labels, taints string) {
				t.Helper()
				var gotTaints []string
				for _, each := range node.Spec.Taints {
					gotTaints = append(gotTaints, each.Key+"="+each.Value)
				}
				slices.Sort(gotTaints)
				if got := strings.Join(gotTaints, " "); got != taints {
					t.Errorf("taints: got %s, want %s", got, taints)
				}
				own := maps.Clone(node.Labels)
				if own[corev1.LabelHostname] != "other" || own[tenancyv1.LabelCluster] != testTranslator().Cluster().ID {
					t.Errorf("got %v, want the host's name and the mark", own)
				}
				maps.DeleteFunc(own, func(key, _ string) bool { return strings.Contains(key, "/") })
				var gotLabels []string
				for _, key := range slices.Sorted(maps.Keys(own)) {
					gotLabels = append(gotLabels, key+"="+own[key])
				}
				wanted := strings.Fields(labels)
				slices.Sort(wanted)
				if !slices.Equal(gotLabels, wanted) {
					t.Errorf("labels: got %v, want %v", gotLabels, wanted)
				}
				again := node.DeepCopy()
				n.apply(again)
				if engine.Hash(again) != engine.Hash(node) {
					t.Errorf("a second pass writes again: %v, %v", again, node)
				}
			}
			n.apply(node)
			// A tenant gives a label and a taint of its own, and changes those of the host.
			node.Labels["disk"], node.Labels["zone"] = "fast", "9"
			delete(node.Labels, corev1.LabelHostname)
			node.Spec.Taints = append(slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == "db" }), taint("mine", ""))
			if !n.host.shown.hides("zone") != n.given(node, "zone") {
				t.Error("zone is the host's where that is shown, and nowhere else")
			}
			n.apply(node)
			if test.shown.hides("zone") {
				node.Labels["zone"] = test.shown.Labels.Added["zone"]
			}
			same(test.labels, test.taints)
			for i := range node.Spec.Taints {
				if ofHost := node.Spec.Taints[i].Key != "mine"; n.givenTaint(node, &node.Spec.Taints[i]) != ofHost {
					t.Errorf("%v is the host's: want %t", node.Spec.Taints[i], ofHost)
				}
			}
			if err := n.host.Nodes.Indexer().Update(real(map[string]string{"zone": "2", corev1.LabelHostname: "other"}, taint("new", ""))); err != nil {
				t.Fatal(err)
			}
			n.apply(node)
			same(test.labelsLater, test.taintsLater)
		})
	}
}

// TestFateOfShownNodes shows what the host has, and lets go of what it has no more.
func TestFateOfShownNodes(t *testing.T) {
	n := shownNodes(t, ShownNodes{Selector: "pool=gold"}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "idle"},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: "203.0.113.1"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}}})
	for name, node := range map[string]string{"one": "left", "other": "never"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: corev1.PodSpec{NodeName: node}}
		if node == "left" {
			if err := n.host.Pods.Indexer().Add(pod); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.virtual, n.dormancy = NewVirtual(fake.NewClientset()), dormancy.New(dormancy.Options{})
	n.dormancy.Observe(&tenancyv1.VirtualCluster{})
	n.virtual.Pods.Follow()
	mine := map[string]string{tenancyv1.LabelCluster: testTranslator().Cluster().ID}
	for name, test := range map[string]struct {
		labels map[string]string
		found  bool
		want   fate
	}{
		"idle":    {want: fate{shown: true}},
		"left":    {mine, true, fate{shown: true}},
		"gone":    {mine, true, fate{}},
		"never":   {want: fate{kept: true}},
		"tenants": {nil, true, fate{kept: true}},
	} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: test.labels}, Spec: corev1.NodeSpec{Unschedulable: true}}
		if got, err := n.fate(name, node, test.found); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "idle"}}
	if got := n.addresses(node); len(got) != 1 || got[0].Address != "192.0.2.1" {
		t.Errorf("got %v, want the InternalIP of the host's node", got)
	}
	for name, want := range map[string]bool{"idle": true, "left": false, "gone": false} {
		if got := n.isShown(name); got != want {
			t.Errorf("pods may go to %s: got %t", name, got)
		}
	}
}

// TestPodsStayOnShownNodes asks the host's scheduler for nodes of the selector, in every
// alternative that a pod has, and opens none that matches no node.
func TestPodsStayOnShownNodes(t *testing.T) {
	required, err := ShownNodes{Read: true, Selector: "pool=gold,zone notin (a,b),!spot,cores>4"}.required()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, each := range required {
		got = append(got, each.Key+" "+string(each.Operator)+" "+strings.Join(each.Values, ","))
	}
	slices.Sort(got)
	if want := []string{"cores Gt 4", "pool In gold", "spot DoesNotExist ", "zone NotIn a,b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	ofZone := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpExists}}}
	for name, test := range map[string]struct {
		terms []corev1.NodeSelectorTerm
		want  []int
	}{
		"any pod":          {nil, []int{4}},
		"alternatives":     {[]corev1.NodeSelectorTerm{ofZone, {MatchFields: []corev1.NodeSelectorRequirement{named(corev1.NodeSelectorOpIn, "hidden")}}}, []int{5, 4}},
		"one that is none": {[]corev1.NodeSelectorTerm{{}, ofZone}, []int{0, 5}},
	} {
		spec := corev1.PodSpec{}
		if test.terms != nil {
			spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: test.terms}}}
		}
		rules := nodeRules{required: required}
		if err := rules.enforce(&spec); err != nil || rules.hash() == "" {
			t.Fatalf("%v, hash %q", err, rules.hash())
		}
		var got []int
		for _, term := range spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			got = append(got, len(term.MatchExpressions))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v requirements, want %v", name, got, test.want)
		}
	}
}

// TestHiddenTopologies refuses what must hold by a label that nobody inside sees, and leaves a wish for it out.
func TestHiddenTopologies(t *testing.T) {
	rules := nodeRules{hidden: func(key string) bool { return key == "rack" }}
	term := func(key string) corev1.PodAffinityTerm {
		return corev1.PodAffinityTerm{TopologyKey: key, LabelSelector: &metav1.LabelSelector{}}
	}
	wish := func(key string) corev1.WeightedPodAffinityTerm {
		return corev1.WeightedPodAffinityTerm{Weight: 1, PodAffinityTerm: term(key)}
	}
	spread := func(key string, when corev1.UnsatisfiableConstraintAction) corev1.PodSpec {
		return corev1.PodSpec{TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{TopologyKey: "zone"}, {TopologyKey: key, WhenUnsatisfiable: when}}}
	}
	for name, test := range map[string]struct {
		spec corev1.PodSpec
		want string
		left int
	}{
		"spread":          {spec: spread("rack", corev1.DoNotSchedule), want: `spec.topologySpreadConstraints[1].topologyKey "rack" is refused`},
		"wished spread":   {spec: spread("rack", corev1.ScheduleAnyway), left: 1},
		"spread by zone":  {spec: spread("zone", corev1.DoNotSchedule), left: 2},
		"apart":           {spec: corev1.PodSpec{Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term("rack")}}}}, want: "spec.affinity.podAntiAffinity."},
		"together":        {spec: corev1.PodSpec{Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term("zone"), term("rack")}}}}, want: "Execution[1].topologyKey"},
		"wished together": {spec: corev1.PodSpec{Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{wish("rack"), wish("zone")}}}}, left: 1},
	} {
		err := rules.topologies(&test.spec)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		left := len(test.spec.TopologySpreadConstraints)
		if test.spec.Affinity != nil && test.spec.Affinity.PodAffinity != nil {
			left += len(test.spec.Affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if test.want == "" && left != test.left {
			t.Errorf("%s: %d are left, want %d", name, left, test.left)
		}
	}
}

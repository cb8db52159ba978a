// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestAffinityMeansTheSame asks, of a term inside and of its translation,
// which pods they match.
func TestAffinityMeansTheSame(t *testing.T) {
	app := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	tests := []struct {
		name string
		term corev1.PodAffinityTerm
		// matches are the namespaces in which a pod app=web, rev=1 of this cluster is matched.
		matches []string
	}{
		{"own namespace", corev1.PodAffinityTerm{LabelSelector: app}, []string{"shop"}},
		{"named namespaces", corev1.PodAffinityTerm{LabelSelector: app, Namespaces: []string{"a", "other"}}, []string{"a", "other"}},
		{"selected namespaces", corev1.PodAffinityTerm{LabelSelector: app, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}}, []string{"a", "b"}},
		{"named and selected", corev1.PodAffinityTerm{LabelSelector: app, Namespaces: []string{"other"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}}, []string{"a", "b", "other"}},
		{"all namespaces", corev1.PodAffinityTerm{LabelSelector: app, NamespaceSelector: &metav1.LabelSelector{}}, []string{"a", "b", "other", "shop"}},
		{"no selector", corev1.PodAffinityTerm{}, nil},
		{"same revision", corev1.PodAffinityTerm{LabelSelector: app, MatchLabelKeys: []string{"rev"}}, []string{"shop"}},
		{"another revision", corev1.PodAffinityTerm{LabelSelector: app, MismatchLabelKeys: []string{"rev"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.term.TopologyKey = corev1.LabelHostname
			_, host := translated(t, func(pod *corev1.Pod) {
				pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{test.term}}}
			}, podInputs{})
			term := host.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0]
			if term.Namespaces != nil || term.NamespaceSelector != nil || term.MatchLabelKeys != nil || term.MismatchLabelKeys != nil {
				t.Errorf("the host is told of namespaces or keys: %+v", term)
			}
			selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			for _, namespace := range test.matches {
				want[namespace] = true
			}
			for _, namespace := range []string{"a", "b", "other", "shop"} {
				pod := testTranslator().HostLabels(namespace, map[string]string{"app": "web", "rev": "1"})
				if got := selector.Matches(labels.Set(pod)); got != want[namespace] {
					t.Errorf("pod in %s: got %v, want %v", namespace, got, want[namespace])
				}
			}
		})
	}
}

func TestSpreadStaysInItsNamespace(t *testing.T) {
	_, host := translated(t, func(pod *corev1.Pod) {
		pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, MatchLabelKeys: []string{"rev"},
			// The API server inside has written the key into the selector already.
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"},
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "rev", Operator: metav1.LabelSelectorOpIn, Values: []string{"1"}}}},
		}}
	}, podInputs{})
	constraint := host.TopologySpreadConstraints[0]
	selector, err := metav1.LabelSelectorAsSelector(constraint.LabelSelector)
	if err != nil {
		t.Fatal(err)
	}
	if len(constraint.LabelSelector.MatchExpressions) != 1 || constraint.MatchLabelKeys != nil {
		t.Errorf("got %+v, want the key once", constraint)
	}
	for namespace, want := range map[string]bool{"shop": true, "a": false} {
		pod := testTranslator().HostLabels(namespace, map[string]string{"app": "web", "rev": "1"})
		if got := selector.Matches(labels.Set(pod)); got != want {
			t.Errorf("pod in %s: got %v, want %v", namespace, got, want)
		}
	}
}

// TestAvoidedNodes keeps pods from nodes that somebody inside cordoned or tainted.
func TestAvoidedNodes(t *testing.T) {
	node := func(name string, cordoned bool, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned, Taints: taints}}
	}
	special := corev1.Taint{Key: "special", Value: "yes", Effect: corev1.TaintEffectNoSchedule}
	nodes := []*corev1.Node{
		node("free", false), node("special", false, special), node("cordoned", true),
		node("disliked", false, corev1.Taint{Key: "x", Effect: corev1.TaintEffectPreferNoSchedule}),
		node("of-the-host", false, corev1.Taint{Key: "hosts", Effect: corev1.TaintEffectNoSchedule}),
		node("of-the-host-cordoned", true, corev1.Taint{Key: "hosts", Effect: corev1.TaintEffectNoSchedule}),
		node("not-ready", false, corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}),
	}
	tolerating := corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "special", Operator: corev1.TolerationOpExists}}}
	for name, test := range map[string]struct {
		spec corev1.PodSpec
		want []string
	}{
		"any pod":             {corev1.PodSpec{}, []string{"cordoned", "of-the-host-cordoned", "special"}},
		"one that tolerates":  {tolerating, []string{"cordoned", "of-the-host-cordoned"}},
		"one of a DaemonSet":  {corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}}, nil},
		"one with a node set": {corev1.PodSpec{NodeName: "cordoned"}, nil},
	} {
		ofHost := func(_ *corev1.Node, taint *corev1.Taint) bool { return taint.Key == "hosts" }
		if got := avoidedNodes(&corev1.Pod{Spec: test.spec}, nodes, ofHost); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	_, host := translated(t, nil, podInputs{nodes: nodeRules{avoid: []string{"cordoned", "special"}}})
	terms := host.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 || len(terms[0].MatchFields) != 2 || terms[0].MatchFields[0].Operator != corev1.NodeSelectorOpNotIn {
		t.Errorf("node affinity: got %v, want neither of the two nodes", terms)
	}
}

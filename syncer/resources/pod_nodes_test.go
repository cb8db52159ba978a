// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// TestLabelsOfNodesMeanTheSame asks, of a pod inside and of its translation, which nodes
// they may go to: inside with the labels that a tenant gave, on the host without.
func TestLabelsOfNodesMeanTheSame(t *testing.T) {
	onHost := map[string]map[string]string{
		"a": {"zone": "1", "secret": "x", corev1.LabelHostname: "a"}, "b": {"zone": "1", corev1.LabelHostname: "b"}, "c": {"zone": "2", corev1.LabelHostname: "c"},
		"outside": {"zone": "1", "secret": "y", corev1.LabelHostname: "outside"},
	}
	tenants := map[string]map[string]string{"a": {"disk": "fast"}, "b": {"disk": "slow", "secret": "x"}, "c": {"disk": "fast", "color": "blue"}}
	node := func(name string, labels ...map[string]string) *corev1.Node {
		all := map[string]string{}
		for _, each := range labels {
			maps.Copy(all, each)
		}
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: all}}
	}
	var inside []*corev1.Node
	for _, name := range []string{"a", "b", "c"} {
		shown := maps.Clone(onHost[name])
		delete(shown, "secret")
		inside = append(inside, node(name, shown, tenants[name]))
	}
	given := nodeView{hidden: func(key string) bool { return key == "secret" || key == "nobodys" },
		label: func(node *corev1.Node, key string) bool {
			_, of := onHost[node.Name][key]
			return of && key != "secret"
		}}
	one := func(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: operator, Values: values}
	}
	required := func(terms ...corev1.NodeSelectorTerm) corev1.PodSpec {
		return corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}}
	}
	term := func(requirements ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: requirements}
	}
	ofDaemon := required(corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{one(metav1.ObjectNameField, corev1.NodeSelectorOpIn, "c")}})
	ofDaemon.NodeSelector = map[string]string{"disk": "fast"}
	tests := map[string]struct {
		spec corev1.PodSpec
		want []string
	}{
		"any node":                 {corev1.PodSpec{}, []string{"a", "b", "c", "outside"}},
		"the host's label":         {corev1.PodSpec{NodeSelector: map[string]string{"zone": "1"}}, []string{"a", "b", "outside"}},
		"a tenant's label":         {corev1.PodSpec{NodeSelector: map[string]string{"disk": "fast"}}, []string{"a", "c"}},
		"both":                     {corev1.PodSpec{NodeSelector: map[string]string{"disk": "fast", "zone": "2"}}, []string{"c"}},
		"a value that no node has": {corev1.PodSpec{NodeSelector: map[string]string{"disk": "none"}}, nil},
		"one of several":           {required(term(one("disk", corev1.NodeSelectorOpIn, "slow")), term(one("color", corev1.NodeSelectorOpExists))), []string{"b", "c"}},
		"not":                      {required(term(one("disk", corev1.NodeSelectorOpNotIn, "fast"))), []string{"b", "outside"}},
		"without":                  {required(term(one("color", corev1.NodeSelectorOpDoesNotExist), one("zone", corev1.NodeSelectorOpIn, "1"))), []string{"a", "b", "outside"}},
		"of a DaemonSet":           {ofDaemon, []string{"c"}},
		"hidden, a tenant's":       {corev1.PodSpec{NodeSelector: map[string]string{"secret": "x"}}, []string{"b"}},
		"hidden, the host's":       {corev1.PodSpec{NodeSelector: map[string]string{"secret": "y"}}, nil},
		"not hidden":               {required(term(one("secret", corev1.NodeSelectorOpDoesNotExist))), []string{"a", "c", "outside"}},
		"hidden and nobody's":      {corev1.PodSpec{NodeSelector: map[string]string{"nobodys": "x"}}, nil},
		"not nobody's":             {required(term(one("nobodys", corev1.NodeSelectorOpDoesNotExist))), []string{"a", "b", "c", "outside"}},
		"an alternative with none": {required(term(one("disk", corev1.NodeSelectorOpIn, "none")), term(one("zone", corev1.NodeSelectorOpIn, "2"))), []string{"c"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := &corev1.Pod{Spec: test.spec}
			rules := rulesFor(before, inside, given)
			host := before.DeepCopy()
			rules.byName(&host.Spec)
			affinity := nodeaffinity.GetRequiredNodeAffinity(host)
			var got []string
			for _, name := range slices.Sorted(maps.Keys(onHost)) {
				matches, err := affinity.Match(node(name, onHost[name]))
				if err != nil {
					t.Fatal(err)
				}
				if matches {
					got = append(got, name)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("on the host: got %v, want %v; %+v", got, test.want, host.Spec)
			}
			if asks := rules.labels != nil; asks != (rules.hash() != "") {
				t.Errorf("got the hash %q, want one when the labels matter", rules.hash())
			}
		})
	}
	preferring := &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
		{Weight: 3, Preference: term(one("disk", corev1.NodeSelectorOpIn, "fast"))}, {Weight: 2, Preference: term(one("zone", corev1.NodeSelectorOpIn, "1"))}}}}}}
	rulesFor(preferring, inside, given).byName(&preferring.Spec)
	if got := preferring.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution; len(got) != 3 || got[0].Weight != 3 || got[0].Preference.MatchFields[0].Values[0] != "a" || got[2].Weight != 2 {
		t.Errorf("preferences: got %+v, want both nodes by name, and the host's label", got)
	}
}

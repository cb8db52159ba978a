// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestPodRulesOver has the upper rules decide about what both name, and no other.
func TestPodRulesOver(t *testing.T) {
	toleration := func(key string) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists}
	}
	upper := PodRules{
		Images:       []ImageRule{{"docker.io", "mirror.example.org"}},
		NodeSelector: map[string]string{"pool": "host"}, Tolerations: []corev1.Toleration{toleration("a")},
		RuntimeClassName: "sandboxed", PriorityClasses: []PriorityClassRule{{"high", "low"}},
		Labels: map[string]string{"account": "host"}, Annotations: map[string]string{"note": "host"},
	}
	lower := PodRules{
		Images:       []ImageRule{{"docker.io", "other.example.org"}, {"quay.io", "other.example.org"}},
		NodeSelector: map[string]string{"pool": "own", "disk": "own"}, Tolerations: []corev1.Toleration{toleration("a"), toleration("b")},
		RuntimeClassName: "fast", PriorityClasses: []PriorityClassRule{{"high", "highest"}, {"low", "low"}},
		Labels: map[string]string{"account": "own", "team": "own"}, Annotations: map[string]string{"note": "own", "more": "own"},
	}
	want := PodRules{
		Images:       []ImageRule{{"docker.io", "mirror.example.org"}, {"quay.io", "other.example.org"}},
		NodeSelector: map[string]string{"pool": "host", "disk": "own"}, Tolerations: []corev1.Toleration{toleration("a"), toleration("b")},
		RuntimeClassName: "sandboxed", PriorityClasses: []PriorityClassRule{{"high", "low"}, {"low", "low"}},
		Labels: map[string]string{"account": "host", "team": "own"}, Annotations: map[string]string{"note": "host", "more": "own"},
	}
	if got := upper.Over(lower); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for name, got := range map[string]PodRules{"over nothing": upper.Over(PodRules{}), "nothing over": PodRules{}.Over(upper)} {
		if !reflect.DeepEqual(got, upper) {
			t.Errorf("%s: got %+v, want %+v", name, got, upper)
		}
	}
}

// TestPodRulesArgument carries rules through an argument in which a kubelet finds no variable.
func TestPodRulesArgument(t *testing.T) {
	rules := PodRules{Annotations: map[string]string{"example.org/note": `$(POD_IP) $$(X) "quoted" <b>`}}
	argument, err := rules.Argument()
	if err != nil || strings.Contains(argument, "$") {
		t.Fatalf("got %q, %v, want a text without dollar signs", argument, err)
	}
	if got, err := ParsePodRules(argument); err != nil || !reflect.DeepEqual(got, rules) {
		t.Errorf("got %+v, %v, want %+v", got, err, rules)
	}
	if got, err := ParsePodRules(""); err != nil || !got.IsZero() {
		t.Errorf("of nothing: got %+v, %v", got, err)
	}
	if _, err := ParsePodRules(`{"selector": {}}`); err == nil {
		t.Error("an unknown rule was taken, which would then not hold")
	}
}

// TestAllowedPodRules leaves away what the host's administrator does not allow, and nothing else.
func TestAllowedPodRules(t *testing.T) {
	rules := PodRules{
		Images: []ImageRule{{"docker.io", "mirror.example.org"}}, NodeSelector: map[string]string{"pool": "a"}, RuntimeClassName: "x",
		Labels: map[string]string{"example.org/team": "a", "other.org/x": "b"}, Annotations: map[string]string{"example.org/team": "a", "other.org/x": "b"},
		PriorityClasses: []PriorityClassRule{{"high", "tenants-high"}, {"low", "critical"}},
	}
	want := rules
	want.Labels, want.Annotations = map[string]string{"example.org/team": "a"}, map[string]string{"other.org/x": "b"}
	want.PriorityClasses = rules.PriorityClasses[:1]
	allowed := AllowedPodRules{Labels: []string{"example.org/*"}, Annotations: []string{"other.org/x"}, PriorityClasses: []string{"tenants-high"}}
	if got := allowed.Narrow(rules); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(rules.Labels) != 2 {
		t.Error("the rules given were changed")
	}
}

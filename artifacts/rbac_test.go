// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// A right is one verb on one resource, as a rule grants it.
type right struct{ verb, group, resource, name string }

func grants(rules []rbacv1.PolicyRule, want right) bool {
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
		return holds(rule.Verbs, want.verb) && holds(rule.APIGroups, want.group) && holds(rule.Resources, want.resource) &&
			(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, want.name))
	})
}

func holds(list []string, item string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, item)
}

// aggregated collects the rules that the host adds to one of its own ClusterRoles.
func aggregated(all []runtime.Object, into string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, object := range all {
		if role, ok := object.(*rbacv1.ClusterRole); ok && role.Labels["rbac.authorization.k8s.io/aggregate-to-"+into] == "true" {
			rules = append(rules, role.Rules...)
		}
	}
	return rules
}

func TestRightsOfUsers(t *testing.T) {
	all := objects(t, nil)
	rules := map[string][]rbacv1.PolicyRule{
		"host's admin":          aggregated(all, "admin"),
		"host's edit":           aggregated(all, "edit"),
		"host's view":           aggregated(all, "view"),
		"garret-enter":          find[*rbacv1.ClusterRole](t, all, "garret-enter").Rules,
		"garret-enter-readonly": find[*rbacv1.ClusterRole](t, all, "garret-enter-readonly").Rules,
	}
	const yes, no = true, false
	tests := []struct {
		verb, resource                          string
		admin, edit, view, enter, enterReadonly bool
	}{
		{"get", "virtualclusters", yes, yes, yes, yes, yes},
		{"list", "virtualclusters", yes, yes, yes, yes, yes},
		{"watch", "virtualclusters", yes, yes, yes, yes, yes},
		{"create", "virtualclusters", yes, yes, no, no, no},
		{"update", "virtualclusters", yes, yes, no, no, no},
		{"patch", "virtualclusters", yes, yes, no, no, no},
		{"delete", "virtualclusters", yes, yes, no, no, no},
		{"deletecollection", "virtualclusters", yes, yes, no, no, no},
		// Only Garret itself says how a virtual cluster is.
		{"update", "virtualclusters/status", no, no, no, no, no},
		{"patch", "virtualclusters/status", no, no, no, no, no},
		{"update", "virtualclusters/finalizers", no, no, no, no, no},
		{"create", "virtualclusters/kubeconfig", yes, yes, no, no, no},
		{"get", "virtualclusters/proxy", yes, yes, no, yes, yes},
		{"create", "virtualclusters/proxy", yes, yes, no, yes, no},
		{"update", "virtualclusters/proxy", yes, yes, no, yes, no},
		{"patch", "virtualclusters/proxy", yes, yes, no, yes, no},
		{"delete", "virtualclusters/proxy", yes, yes, no, yes, no},
	}
	for _, test := range tests {
		for role, want := range map[string]bool{
			"host's admin": test.admin, "host's edit": test.edit, "host's view": test.view,
			"garret-enter": test.enter, "garret-enter-readonly": test.enterReadonly,
		} {
			asked := right{test.verb, tenancyv1.GroupName, test.resource, "demo"}
			if got := grants(rules[role], asked); got != want {
				t.Errorf("%s: %s %s: got %t, want %t", role, test.verb, test.resource, got, want)
			}
		}
	}
}

func TestNothingAggregatesUnasked(t *testing.T) {
	all := objects(t, set("rbac", set("aggregate", false)))
	for _, into := range []string{"admin", "edit", "view"} {
		if rules := aggregated(all, into); rules != nil {
			t.Errorf("rules added to %s: %v", into, rules)
		}
	}
}

// No part of Garret may raise its own rights or see more than it must.
func TestRightsOfGarret(t *testing.T) {
	for _, object := range objects(t, nil) {
		var name string
		var rules []rbacv1.PolicyRule
		switch role := object.(type) {
		case *rbacv1.ClusterRole:
			name, rules = role.Name, role.Rules
		case *rbacv1.Role:
			name, rules = role.Name, role.Rules
		}
		for _, rule := range rules {
			for _, verb := range []string{"*", "escalate", "bind", "impersonate", "approve", "sign"} {
				if slices.Contains(rule.Verbs, verb) {
					t.Errorf("%s may %s %v", name, verb, rule.Resources)
				}
			}
			if slices.Contains(rule.Resources, "*") || slices.Contains(rule.APIGroups, "*") {
				t.Errorf("%s: a rule without bounds: %v", name, rule)
			}
		}
	}
	rules := find[*rbacv1.ClusterRole](t, objects(t, nil), "garret-apiserver").Rules
	for _, asked := range []right{
		{"get", "", "secrets", "any"}, {"list", "", "secrets", ""}, {"get", "", "pods", "any"},
		{"patch", "apiregistration.k8s.io", "apiservices", "v1.apps"}, {"create", "", "pods/exec", "any"},
	} {
		if grants(rules, asked) {
			t.Errorf("garret-apiserver may %s %s %s in the whole cluster", asked.verb, asked.resource, asked.name)
		}
	}
}

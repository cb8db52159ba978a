// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"maps"
	"slices"
	"strings"
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

// TestRightsOfUsers wants each role to grant exactly what is written here. The host
// adds the rules of view to edit, and those of edit to admin, too.
func TestRightsOfUsers(t *testing.T) {
	const (
		all      = "get list watch create update patch delete deletecollection"
		read     = "get list watch"
		entering = "get create update patch delete"
	)
	administrator := map[string]string{
		"virtualclusters": all, "virtualclusters/status": "get", "virtualclusters/kubeconfig": "create", "virtualclusters/proxy": entering,
	}
	tests := map[string]map[string]string{
		"host's admin": administrator,
		"host's edit":  administrator,
		"host's view":  {"virtualclusters": "list watch"},
		"garret-admin": administrator,
		"garret-view":  {"virtualclusters": "list watch"},
		"garret-enter": {"virtualclusters": read, "virtualclusters/status": "get", "virtualclusters/proxy": entering},
		"garret-enter-readonly": {
			"virtualclusters": read, "virtualclusters/status": "get", "virtualclusters/proxy": "get",
		},
		"garret-enter-gateway": {"virtualclusters": read, "virtualclusters/status": "get"},
		tenancyv1.RolePrivilegedPods: {
			tenancyv1.ResourcePodSecurityLevels + "/" + string(tenancyv1.PodSecurityPrivileged): tenancyv1.VerbUse,
		},
		"garret-catalog":       {"virtualclustertemplates": read, "hostclusters": read, "hostclusters/status": "get"},
		"garret-catalog-admin": {"virtualclustertemplates": all, "hostclusters": all, "hostclusters/status": "get"},
	}
	installed := objects(t, nil)
	for role, want := range tests {
		var rules []rbacv1.PolicyRule
		if into, ok := strings.CutPrefix(role, "host's "); ok {
			rules = aggregated(installed, into)
		} else {
			rules = find[*rbacv1.ClusterRole](t, installed, role).Rules
		}
		got := map[string]string{}
		for _, rule := range rules {
			if !slices.Equal(rule.APIGroups, []string{tenancyv1.GroupName}) {
				t.Errorf("%s: a rule for other API groups: %v", role, rule)
			}
			for _, resource := range rule.Resources {
				resource = strings.Join(append([]string{resource}, rule.ResourceNames...), "/")
				got[resource] = strings.TrimSpace(got[resource] + " " + strings.Join(rule.Verbs, " "))
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", role, got, want)
		}
	}
	for _, object := range installed {
		role, ok := object.(*rbacv1.ClusterRole)
		if ok && role.Labels["app.kubernetes.io/component"] == "access" && tests[role.Name] == nil {
			t.Errorf("no test says what %s may grant", role.Name)
		}
	}
}

// TestCatalog wants templates and host clusters to be seen by everybody whom the
// host knows, unless that is switched off.
func TestCatalog(t *testing.T) {
	for on, want := range map[bool][]rbacv1.Subject{
		true:  {{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:authenticated"}},
		false: nil,
	} {
		var got []rbacv1.Subject
		for _, object := range objects(t, set("rbac", set("catalog", on))) {
			if binding, ok := object.(*rbacv1.ClusterRoleBinding); ok && strings.HasPrefix(binding.RoleRef.Name, "garret-catalog") {
				if binding.RoleRef.Name != "garret-catalog" {
					t.Errorf("the chart binds %s", binding.RoleRef.Name)
				}
				got = append(got, binding.Subjects...)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("rbac.catalog %t: got %v, want %v", on, got, want)
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

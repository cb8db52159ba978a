// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// rulesOf are the rules of a syncer with these arguments.
func rulesOf(args ...string) []rbacv1.PolicyRule {
	synced, err := tenancyv1.SelectByArgs(args)
	if err != nil {
		panic(err)
	}
	return tenancyv1.SyncerRules(synced)
}

// verbsOf are the verbs of a rendered Role on each resource of each group.
func verbsOf(role *rbacv1.Role) map[string]string {
	verbs := map[string]string{}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			name := strings.TrimPrefix(rule.APIGroups[0]+"/"+resource, "/")
			verbs[name] = strings.Join(slices.Sorted(slices.Values(append(strings.Fields(verbs[name]), rule.Verbs...))), " ")
		}
	}
	return verbs
}

// The Role is the whole of what a virtual cluster can do to its host.
func TestRole(t *testing.T) {
	values := testValues()
	values.RBAC.Rules = rulesOf("--sync-resources=" + strings.Join(tenancyv1.CataloguedResources(), ","))
	got := render(t, values, nil)
	for _, rule := range got.role.Rules {
		for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
			if slices.Contains(list, "*") {
				t.Errorf("a wildcard in %v", rule)
			}
		}
		for _, verb := range []string{"escalate", "bind", "impersonate", "deletecollection"} {
			if slices.Contains(rule.Verbs, verb) {
				t.Errorf("verb %s in %v", verb, rule)
			}
		}
		for _, resource := range rule.Resources {
			switch {
			case slices.Contains([]string{"serviceaccounts/token", "roles", "rolebindings", "pods/eviction", "nodes"}, resource):
				t.Errorf("resource %s in %v", resource, rule)
			case strings.HasPrefix(resource, "virtualclusters") && !slices.Equal(rule.ResourceNames, []string{"demo"}):
				t.Errorf("virtual clusters other than its own in %v", rule)
			case resource == "hostobjects" && slices.Contains(rule.Verbs, "own") && !slices.Equal(rule.ResourceNames, []string{values.Cluster.ID}):
				t.Errorf("host objects other than its own in %v", rule)
			case resource == "namespaces" && !(slices.Equal(rule.ResourceNames, []string{"team-a"}) && slices.Equal(rule.Verbs, []string{"get"})):
				t.Errorf("more than reading its own namespace in %v", rule)
			case resource == "statefulsets":
				t.Errorf("the StatefulSet is not the syncer's to see: %v", rule)
			case resource == "events" && slices.ContainsFunc(rule.Verbs, func(v string) bool { return v != "get" && v != "list" && v != "watch" }):
				t.Errorf("more than reading events in %v", rule)
			}
		}
	}
	subject := got.roleBinding.Subjects
	if len(subject) != 1 || subject[0].Name != "vc-demo" || subject[0].Namespace != "team-a" || got.roleBinding.RoleRef.Name != "vc-demo" || got.roleBinding.RoleRef.Kind != "Role" {
		t.Errorf("binding: got %v to %v", subject, got.roleBinding.RoleRef)
	}
}

// TestWorkloadsAccount wants pods to run as an account that lends them nothing.
func TestWorkloadsAccount(t *testing.T) {
	values := testValues()
	values.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	got := render(t, values, nil)
	account := got.workloads
	if account == nil || account.Name != tenancyv1.WorkloadsAccount("demo") || account.Namespace != "team-a" || account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken ||
		len(account.ImagePullSecrets) > 0 || len(account.Secrets) > 0 {
		t.Fatalf("got %+v, want one without token and pull secrets", account)
	}
	for _, subject := range got.roleBinding.Subjects {
		if subject.Name == account.Name {
			t.Errorf("the workloads' account has rights: %+v", got.roleBinding)
		}
	}
}

const (
	allVerbs    = "create delete get list patch update watch"
	recordVerbs = "create delete get update"
)

// TestRoleFollowsWhatIsSynced says what goes with each kind that is off, and what
// comes with one that is on. All else stays as it is by default.
func TestRoleFollowsWhatIsSynced(t *testing.T) {
	byDefault := map[string]string{
		"namespaces": "get", "tenancy.garret.dev/virtualclusters": "get list watch", "tenancy.garret.dev/virtualclusters/status": "get patch update",
		"tenancy.garret.dev/hostobjects": "bound own",
		"pods":                           allVerbs, "services": allVerbs, "configmaps": allVerbs, "secrets": allVerbs, "persistentvolumeclaims": allVerbs,
		"discovery.k8s.io/endpointslices": allVerbs, "networking.k8s.io/ingresses": allVerbs, "events": "get list watch",
		"pods/exec": "create get", "pods/attach": "create get", "pods/portforward": "create get", "pods/log": "get",
		"pods/ephemeralcontainers": "get patch update", "pods/resize": "get patch update", "pods/status": "get patch",
		"metrics.k8s.io/pods": "list",
	}
	const none = ""
	tests := map[string]struct {
		args []string
		want map[string]string
	}{
		"default":      {nil, nil},
		"all it says":  {[]string{"--sync-resources=" + strings.Join(tenancyv1.SyncedResources(), ",")}, nil},
		"budgets":      {[]string{"--sync-resources=poddisruptionbudgets"}, map[string]string{"policy/poddisruptionbudgets": allVerbs}},
		"accounts":     {[]string{"--sync-resources=serviceaccounts"}, map[string]string{"serviceaccounts": allVerbs}},
		"policies":     {[]string{"--sync-resources=networkpolicies"}, map[string]string{"networking.k8s.io/networkpolicies": allVerbs}},
		"no claims":    {[]string{"--disable-sync-resources=persistentvolumeclaims"}, map[string]string{"persistentvolumeclaims": none}},
		"no slices":    {[]string{"--disable-sync-resources=endpointslices"}, map[string]string{"discovery.k8s.io/endpointslices": none}},
		"no services":  {[]string{"--disable-sync-resources=services"}, map[string]string{"services": none, "discovery.k8s.io/endpointslices": none, "networking.k8s.io/ingresses": none}},
		"no ingresses": {[]string{"--disable-sync-resources=ingresses"}, map[string]string{"networking.k8s.io/ingresses": none}},
		"no events":    {[]string{"--disable-sync-resources=events"}, map[string]string{"events": none}},
		// The tokens of pods and the variables of their namespaces come with pods.
		"no secrets, no configmaps": {[]string{"--disable-sync-resources=secrets,configmaps"}, nil},
		"no pods": {[]string{"--disable-sync-resources=pods"}, map[string]string{"pods": none, "events": none, "pods/exec": none, "pods/attach": none,
			"pods/portforward": none, "pods/log": none, "pods/ephemeralcontainers": none, "pods/resize": none, "pods/status": none, "metrics.k8s.io/pods": none}},
		"no pods, secrets or configmaps": {[]string{"--disable-sync-resources=pods,secrets,configmaps"}, map[string]string{"pods": none, "events": none,
			"pods/exec": none, "pods/attach": none, "pods/portforward": none, "pods/log": none, "pods/ephemeralcontainers": none, "pods/resize": none,
			"pods/status": none, "metrics.k8s.io/pods": none, "secrets": none, "configmaps": recordVerbs}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			values := testValues()
			values.Syncer.ExtraArgs, values.RBAC.Rules = test.args, rulesOf(test.args...)
			want := maps.Clone(byDefault)
			maps.Copy(want, test.want)
			maps.DeleteFunc(want, func(_, verbs string) bool { return verbs == none })
			if got := verbsOf(render(t, values, nil).role); !maps.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// The schema refuses rules that no row of the catalogue can give, whoever sets them.
func TestRulesWithoutBounds(t *testing.T) {
	for name, rule := range map[string]rbacv1.PolicyRule{
		"every verb":     {APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"*"}},
		"escalation":     {APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"roles"}, Verbs: []string{"escalate"}},
		"every resource": {APIGroups: []string{""}, Resources: []string{"*"}, Verbs: []string{"get"}},
		"every group":    {APIGroups: []string{"*"}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		"a URL":          {NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
	} {
		values := testValues()
		values.RBAC.Rules = []rbacv1.PolicyRule{rule}
		if _, err := tryRender(t, values, nil); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

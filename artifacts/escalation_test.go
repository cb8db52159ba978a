// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"maps"
	"slices"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	rbacv1 "k8s.io/api/rbac/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/chart"
)

// The host lets the controller make a Role only if it holds every right in it
// itself. So a rule that is added to the chart of a virtual cluster and not to
// the controller's ClusterRole would fail on every host, though in no unit test.
func TestControllerMayGrantTheSyncersRole(t *testing.T) {
	controller := find[*rbacv1.ClusterRole](t, objects(t, nil), "garret-controller").Rules
	var asked int
	for _, object := range decode(t, virtualClusterRBAC(t)) {
		role, ok := object.(*rbacv1.Role)
		if !ok {
			continue
		}
		for _, rule := range role.Rules {
			for _, want := range split(rule) {
				asked++
				if !grants(controller, want) {
					t.Errorf("the controller may not %s %s.%s, so it cannot grant that to a syncer", want.verb, want.resource, want.group)
				}
			}
		}
	}
	if asked == 0 {
		t.Error("the chart of a virtual cluster grants nothing: this test looks in the wrong place")
	}
}

// TestClusterRoles wants each ClusterRole that syncers are lent to have the rights of its kinds and
// no more, and the controller to have them, too: only so may it lend them. Each that writes is held
// by a policy, which knows it by a right of its own.
func TestClusterRoles(t *testing.T) {
	all := map[string]bool{}
	for _, name := range tenancyv1.CataloguedResources() {
		all[name] = true
	}
	installed := objects(t, nil)
	controller := find[*rbacv1.ClusterRole](t, installed, "garret-controller").Rules
	for _, name := range tenancyv1.ClusterRoles() {
		t.Run(name, func(t *testing.T) {
			lent := find[*rbacv1.ClusterRole](t, installed, name).Rules
			var wanted []rbacv1.PolicyRule
			writes := false
			for _, kind := range tenancyv1.KindsOfRole(name, all) {
				wanted = append(wanted, rbacv1.PolicyRule{APIGroups: []string{kind.Group}, Resources: []string{kind.Resource}, Verbs: kind.Verbs})
				writes = writes || kind.Direction == tenancyv1.ToHost
			}
			if writes {
				wanted = append(wanted, rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"hostobjects"}, Verbs: []string{"lent"}})
			}
			for _, rule := range wanted {
				for _, want := range split(rule) {
					if !grants(lent, want) || !grants(controller, want) {
						t.Errorf("syncer or controller may not %s %s.%s", want.verb, want.resource, want.group)
					}
				}
			}
			for _, rule := range lent {
				for _, right := range split(rule) {
					if !grants(wanted, right) {
						t.Errorf("every syncer is lent %s %s.%s, which none needs", right.verb, right.resource, right.group)
					}
				}
			}
			binding := find[*rbacv1.ClusterRoleBinding](t, installed, name)
			if len(binding.Subjects) > 0 || binding.RoleRef.Name != name {
				t.Errorf("the chart lends %s to %v: an upgrade would take it from the others", binding.RoleRef.Name, binding.Subjects)
			}
		})
	}
}

// TestHostNodes wants the ClusterRole that shows nodes of the host to be bound to nobody, and
// garret-controller not to have what would let it bind it.
func TestHostNodes(t *testing.T) {
	installed := objects(t, nil)
	role := find[*rbacv1.ClusterRole](t, installed, tenancyv1.RoleHostNodes)
	var got []right
	for _, rule := range role.Rules {
		got = append(got, split(rule)...)
	}
	all := map[string]bool{}
	for _, name := range tenancyv1.CataloguedResources() {
		all[name] = true
	}
	want := []right{{"list", "", "nodes", ""}, {"watch", "", "nodes", ""}}
	for _, rule := range tenancyv1.SyncerNodeRules(all) {
		want = append(want, split(rule)...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, object := range installed {
		if binding, is := object.(*rbacv1.ClusterRoleBinding); is && binding.RoleRef.Name == role.Name {
			t.Errorf("%s lends it to %v unasked", binding.Name, binding.Subjects)
		}
	}
}

// TestCustomKinds wants no kind to be open to rules before an administrator opens it, and
// that ClusterRole to reach garret-controller. Definitions are read by who needs them.
func TestCustomKinds(t *testing.T) {
	installed := objects(t, nil)
	role := find[*rbacv1.ClusterRole](t, installed, tenancyv1.RoleCustomKinds)
	if len(role.Rules) > 0 || role.AggregationRule == nil || len(role.AggregationRule.ClusterRoleSelectors) != 1 ||
		!maps.Equal(role.AggregationRule.ClusterRoleSelectors[0].MatchLabels, map[string]string{tenancyv1.LabelAggregateToCustomKinds: "true"}) {
		t.Errorf("got %v from %v, want what administrators label", role.Rules, role.AggregationRule)
	}
	binding := find[*rbacv1.ClusterRoleBinding](t, installed, tenancyv1.RoleCustomKinds)
	if binding.RoleRef.Name != role.Name || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "garret-controller" {
		t.Errorf("got %v for %v", binding.RoleRef, binding.Subjects)
	}
	for _, object := range installed {
		if other, is := object.(*rbacv1.ClusterRole); is && other.Labels[tenancyv1.LabelAggregateToCustomKinds] != "" {
			t.Errorf("%s opens kinds unasked", other.Name)
		}
	}
	want := right{"get", "apiextensions.k8s.io", "customresourcedefinitions", ""}
	for _, name := range []string{tenancyv1.RoleHostDefinitions, "garret-controller", "garret-apiserver"} {
		if !grants(find[*rbacv1.ClusterRole](t, installed, name).Rules, want) {
			t.Errorf("%s may not %v", name, want)
		}
	}
	lent := find[*rbacv1.ClusterRole](t, installed, tenancyv1.RoleHostDefinitions)
	if rights := split(lent.Rules[0]); len(lent.Rules) != 1 || len(rights) != 1 || rights[0] != want {
		t.Errorf("syncers are lent %v, want %v alone", lent.Rules, want)
	}
	if subjects := find[*rbacv1.ClusterRoleBinding](t, installed, tenancyv1.RoleHostDefinitions).Subjects; len(subjects) > 0 {
		t.Errorf("the chart lends the right to %v: an upgrade would take it from the others", subjects)
	}
}

// split takes a rule apart into single rights.
func split(rule rbacv1.PolicyRule) []right {
	names := rule.ResourceNames
	if len(names) == 0 {
		// A name that no rule lists: only a rule without names grants it.
		names = []string{""}
	}
	var rights []right
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range names {
					rights = append(rights, right{verb, group, resource, name})
				}
			}
		}
	}
	return rights
}

func virtualClusterRBAC(t *testing.T) string {
	t.Helper()
	everything, err := tenancyv1.SelectResources(tenancyv1.CataloguedResources(), nil)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := chart.Load("v0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	values, err := chart.Merge(chart.Values{
		Cluster:    chart.Cluster{Name: "demo", ID: "0123456789", UID: "11111111-2222-3333-4444-555555555555"},
		Kubernetes: chart.Kubernetes{Distro: "k3s", Version: "v1.37.2"},
		ControlPlane: chart.ControlPlane{
			Image: "rancher/k3s", Storage: chart.Storage{Persistent: true, Size: "5Gi"},
		},
		Syncer:  chart.Syncer{Image: "syncer"},
		RBAC:    chart.RBAC{Rules: tenancyv1.SyncerRules(everything)},
		Host:    chart.Host{ServiceCIDR: "10.96.0.0/16", ClusterDomain: "cluster.local", ClientCA: "-----BEGIN CERTIFICATE-----\n"},
		Service: chart.Service{ClusterIP: "10.96.7.7"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	options := chartutil.ReleaseOptions{Name: "vc-demo", Namespace: "team-a", Revision: 1, IsInstall: true}
	context, err := chartutil.ToRenderValues(loaded, values, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := engine.Render(loaded, context)
	if err != nil {
		t.Fatal(err)
	}
	return rendered[loaded.Name()+"/templates/rbac.yaml"]
}

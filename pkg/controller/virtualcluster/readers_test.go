// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestReaders lends the right to read in other namespaces for what is shown of them, and takes it
// back with the mapping, with the kind, and with the virtual cluster.
func TestReaders(t *testing.T) {
	space := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	vc := object(1)
	mapping := func(namespace, name string) tenancyv1.CustomMapping {
		return tenancyv1.CustomMapping{From: tenancyv1.CustomSource{Namespace: namespace, Name: name}, To: tenancyv1.CustomTarget{Namespace: "shop"}}
	}
	vc.Spec.Syncer.FromHost.Custom = []tenancyv1.KindFromHost{{APIVersion: "example.org/v1", Resource: "widgets", Mappings: []tenancyv1.CustomMapping{
		mapping("prod", "main"), mapping("prod", "other"), mapping("all", "*"), mapping("", "own"), mapping("nowhere", "x")}}}
	foreign := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: "prod", Labels: map[string]string{tenancyv1.LabelVirtualCluster: vc.Name, tenancyv1.LabelCluster: clusterID(vc)}}}
	c := deployer(t, true, openedTo("get", "list", "watch"), lentDefinitions(), space("prod"), space("all"), space(vc.Namespace), foreign)
	pass := func() customKinds {
		t.Helper()
		kinds, err := c.customKinds(t.Context(), vc, &memory{})
		if err == nil {
			err = c.readers(t.Context(), vc, &kinds)
		}
		if err != nil {
			t.Fatal(err)
		}
		return kinds
	}
	rules := func(namespace string) []rbacv1.PolicyRule {
		t.Helper()
		binding, err := c.Host.RbacV1().RoleBindings(namespace).Get(t.Context(), readerName(vc), metav1.GetOptions{})
		if err != nil {
			return nil
		}
		if len(binding.Subjects) != 1 || binding.Subjects[0].Namespace != vc.Namespace || binding.Subjects[0].Name != "vc-demo" {
			t.Errorf("binding in %s: got %v, want the syncer's account", namespace, binding.Subjects)
		}
		role, err := c.Host.RbacV1().Roles(namespace).Get(t.Context(), binding.RoleRef.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return role.Rules
	}
	kinds := pass()
	if got := rules("prod"); len(got) != 1 || !slices.Equal(got[0].ResourceNames, []string{"main", "other"}) || !slices.Equal(got[0].Verbs, []string{"get", "list", "watch"}) {
		t.Errorf("in prod: got %v, want two names to be read", got)
	}
	if got := rules("all"); len(got) != 1 || len(got[0].ResourceNames) > 0 {
		t.Errorf("in all: got %v, want the kind", got)
	}
	if rules("nowhere") != nil || rules(vc.Namespace) != nil {
		t.Error("a namespace that is not there, or is the virtual cluster's own, has a reader")
	}
	if kinds.condition == nil || kinds.condition.Reason != reasonNoNamespace || !strings.Contains(kinds.condition.Message, "nowhere") || len(kinds.shown[0].Mappings) != 4 {
		t.Errorf("got %+v and %v, want the namespace that is not there told, and left out", kinds.condition, kinds.shown)
	}
	values, err := c.values(t.Context(), vc, &kinds)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(values.RBAC.Rules, func(r rbacv1.PolicyRule) bool {
		return slices.Equal(r.Resources, []string{"widgets"}) && slices.Equal(r.ResourceNames, []string{"own"})
	}) ||
		!slices.ContainsFunc(values.Syncer.ExtraArgs, func(arg string) bool {
			return strings.HasPrefix(arg, "--show-kind=") && strings.Contains(arg, `"namespace":"team","name":"own"`)
		}) {
		t.Errorf("got the rules %v and the arguments %v, want the object of the namespace itself", values.RBAC.Rules, values.Syncer.ExtraArgs)
	}

	// Somebody widens the Role, and it is put back.
	wide, err := c.Host.RbacV1().Roles("prod").Get(t.Context(), readerName(vc), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wide.Rules[0].ResourceNames = nil
	if _, err := c.Host.RbacV1().Roles("prod").Update(t.Context(), wide, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	pass()
	if got := rules("prod"); len(got) != 1 || len(got[0].ResourceNames) != 2 {
		t.Errorf("after a change by somebody: got %v, want it put back", got)
	}

	// On its way out, before the caches know what was made.
	now := metav1.Now()
	vc.DeletionTimestamp = &now
	if err := c.endReaders(t.Context(), vc, nil); err != nil {
		t.Fatal(err)
	}
	if rules("prod") != nil || rules("all") != nil {
		t.Error("a virtual cluster on its way out still reads")
	}
	if _, err := c.Host.RbacV1().Roles("prod").Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil {
		t.Errorf("somebody's Role with the labels: %v, want it to stay", err)
	}
}

// TestReadersEnd takes rights back that no mapping needs, and that of a kind that is closed.
func TestReadersEnd(t *testing.T) {
	vc := object(1)
	labels := map[string]string{tenancyv1.LabelVirtualCluster: vc.Name, tenancyv1.LabelCluster: clusterID(vc)}
	meta := metav1.ObjectMeta{Name: readerName(vc), Namespace: "prod", Labels: labels}
	vc.Spec.Syncer.FromHost.Custom = []tenancyv1.KindFromHost{{APIVersion: "example.org/v1", Resource: "widgets", Mappings: []tenancyv1.CustomMapping{
		{From: tenancyv1.CustomSource{Namespace: "prod", Name: "main"}, To: tenancyv1.CustomTarget{Namespace: "shop"}}}}}
	c := deployer(t, true, lentDefinitions(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}}, &rbacv1.Role{ObjectMeta: meta}, &rbacv1.RoleBinding{ObjectMeta: meta})
	kinds, err := c.customKinds(t.Context(), vc, &memory{})
	if err != nil || len(kinds.shown) > 0 || kinds.condition == nil || kinds.condition.Reason != reasonNotOpened || !strings.Contains(kinds.condition.Message, "verbs: [get, list, watch]") {
		t.Fatalf("a kind that is not open: got %+v and %v, want it told with the rights that open it", kinds.condition, err)
	}
	if err := c.readers(t.Context(), vc, &kinds); err != nil {
		t.Fatal(err)
	}
	roles, err := c.Host.RbacV1().Roles("prod").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(roles.Items) > 0 {
		t.Errorf("got %v and %v, want no Role any more", roles, err)
	}
	bindings, err := c.Host.RbacV1().RoleBindings("prod").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(bindings.Items) > 0 {
		t.Errorf("got %v and %v, want no binding any more", bindings, err)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
)

// rows are the rights that are granted, each row by itself, and all that they open.
var rows = []struct {
	rights []right
	opens  []string
}{
	{[]right{{"list", ""}}, []string{"list"}},
	{[]right{{"watch", ""}}, []string{"watch"}},
	{[]right{{"get", ""}}, []string{"get", "get by the gateway", "create by the gateway"}},
	{[]right{{"create", ""}}, []string{"create"}},
	{[]right{{"update", ""}}, []string{"update"}},
	{[]right{{"patch", ""}}, []string{"patch"}},
	{[]right{{"patch", ""}, {"create", ""}}, []string{"patch", "create", "apply what is new"}},
	{[]right{{"delete", ""}}, []string{"delete"}},
	{[]right{{"deletecollection", ""}}, []string{"deletecollection"}},
	{[]right{{"get", "status"}}, []string{"get status"}},
	{[]right{{"patch", "status"}}, []string{"patch status"}},
	{[]right{{"create", "kubeconfig"}}, []string{"create kubeconfig"}},
	{[]right{{"get", "proxy"}}, []string{"get inside"}},
	{[]right{{"create", "proxy"}}, []string{"create inside"}},
	{[]right{{"update", "proxy"}}, []string{"update inside"}},
	{[]right{{"patch", "proxy"}}, []string{"patch inside"}},
	{[]right{{"delete", "proxy"}}, []string{"delete inside"}},
	{[]right{{"get", "proxy"}, {"create", "proxy"}}, []string{"get inside", "create inside", "upgrade inside"}},
}

// grant is how the rights of a row were given to a caller.
type grant struct {
	rights []right
	// role is Role or ClusterRole, binding RoleBinding or ClusterRoleBinding.
	role, binding string
	// byName restricts the rights to objects called one, or new.
	byName bool
}

func (g grant) String() string {
	restricted := "all names"
	if g.byName {
		restricted = "by name"
	}
	return g.role + " " + g.binding + " " + restricted
}

// covers tells whether RBAC should say yes to the right at the place. Where
// rights are by name, what has no name is not among them: whole collections,
// and the create of an object whose name stands in its body.
func (g grant) covers(r right, p place) bool {
	return slices.Contains(g.rights, r) &&
		(g.binding == "ClusterRoleBinding" || p.Namespace == here.Namespace) &&
		(!g.byName || p.Name == here.Name || p.Name == newObject.Name)
}

// TestRows grants the rights of each row in every way there is to grant them, to
// every kind of subject, asks what is allowed, and does everything there is to
// do: what the row opens in every place, and what it does not open in the place
// where the rights are granted.
func TestRows(t *testing.T) {
	number := 0
	for _, row := range rows {
		for _, ways := range []struct{ role, binding string }{
			{"Role", "RoleBinding"}, {"ClusterRole", "ClusterRoleBinding"}, {"ClusterRole", "RoleBinding"},
		} {
			for _, byName := range []bool{false, true} {
				for _, kind := range []string{rbacv1.UserKind, rbacv1.GroupKind, rbacv1.ServiceAccountKind} {
					number++
					name := fmt.Sprintf("row-%d", number)
					g := grant{row.rights, ways.role, ways.binding, byName}
					t.Run(fmt.Sprintf("%v/%s to a %s", row.rights, g, kind), func(t *testing.T) {
						t.Parallel()
						c := newCaller(t, kind, name)
						g.give(t, name, c)
						for _, a := range actions {
							places, opened := a.places, slices.Contains(row.opens, a.name)
							if !opened {
								places = places[:1]
							}
							for _, p := range places {
								check(t, c, a, p, opened, g)
							}
						}
					})
				}
			}
		}
	}
}

// check asks whether the action is allowed and does it. What the row opens must
// work wherever the grant covers it; nothing else may.
func check(t *testing.T, c *caller, a action, p place, opened bool, g grant) {
	t.Helper()
	want := opened
	for _, needed := range a.needs {
		covered := g.covers(needed, p)
		want = want && covered
		if got, err := c.may(t.Context(), needed, p); err != nil || got != covered {
			t.Errorf("can-i %s in %q: got %t, %v; want %t", needed, p, got, err, covered)
		}
	}
	wantDone(t, c, a, p, want)
}

// wantDone does it, and wants it to be done or to be forbidden.
func wantDone(t *testing.T, c *caller, a action, p place, want bool) {
	t.Helper()
	answer, err := c.do(t.Context(), a, p)
	switch {
	case want && err != nil:
		t.Errorf("%s in %q: refused: %v", a.name, p, err)
	case want && !strings.Contains(answer, a.answer):
		t.Errorf("%s in %q: got %.300q, want %q in it", a.name, p, answer, a.answer)
	case !want && err == nil:
		t.Errorf("%s in %q: it was done, want it forbidden: %.300q", a.name, p, answer)
	case !want && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot")):
		t.Errorf("%s in %q: got %v, want a Status that says what is forbidden", a.name, p, err)
	}
}

// give makes the role and the binding, and waits until the host knows of them.
func (g grant) give(t *testing.T, name string, c *caller) {
	t.Helper()
	rbac := shared.host.Client.RbacV1()
	var rules []rbacv1.PolicyRule
	for _, r := range g.rights {
		resource := "virtualclusters"
		if r.subresource != "" {
			resource += "/" + r.subresource
		}
		rule := rbacv1.PolicyRule{APIGroups: []string{v1.GroupName}, Resources: []string{resource}, Verbs: []string{r.verb}}
		if g.byName {
			rule.ResourceNames = []string{here.Name, newObject.Name}
		}
		rules = append(rules, rule)
	}
	meta := metav1.ObjectMeta{Name: name}
	var err error
	if g.role == "Role" {
		_, err = rbac.Roles(here.Namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	} else {
		_, err = rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	bind(t, g.role, name, g.binding, c)
	for _, r := range g.rights {
		framework.Eventually(t, "the host knows of the right to "+r.String(), func(ctx context.Context) (bool, error) {
			return c.may(ctx, r, here)
		})
	}
}

// bind binds a role to a caller, in the namespace of here if it is by a RoleBinding.
func bind(t *testing.T, role, name, binding string, c *caller) {
	t.Helper()
	rbac := shared.host.Client.RbacV1()
	meta := metav1.ObjectMeta{Name: c.subject.Name}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role, Name: name}
	subjects := []rbacv1.Subject{c.subject}
	var err error
	if binding == "RoleBinding" {
		_, err = rbac.RoleBindings(here.Namespace).Create(t.Context(),
			&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: reference, Subjects: subjects}, metav1.CreateOptions{})
	} else {
		_, err = rbac.ClusterRoleBindings().Create(t.Context(),
			&rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: reference, Subjects: subjects}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

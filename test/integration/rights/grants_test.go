// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"fmt"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// way is by what rights reach a subject.
type way struct {
	// role is Role or ClusterRole, binding RoleBinding or ClusterRoleBinding.
	role, binding string
}

// ways are all there are.
var ways = []way{{"Role", "RoleBinding"}, {"ClusterRole", "RoleBinding"}, {"ClusterRole", "ClusterRoleBinding"}}

// grant is a row given to a subject.
type grant struct {
	row
	way
	// byName restricts the rights to objects called one, or new.
	byName bool
	// kind is the subject's.
	kind string
}

func (g grant) String() string {
	restricted := "all names"
	if g.byName {
		restricted = "by name"
	}
	return fmt.Sprintf("%v/%s %s %s to a %s", g.rights, g.role, g.binding, restricted, g.kind)
}

// grants give each row in a namespace and in all of the cluster, for all names
// and by name: upon these the answers to garret-apiserver depend. What kind of
// role it was, and of subject, the host's RBAC has forgotten when it answers, so
// these take turns. A turn has four grants and three kinds of subject, so that
// each row comes to all of them.
func grants() []grant {
	var all []grant
	for i, row := range rows {
		for j, each := range []grant{
			{way: ways[i/3%2], byName: false}, {way: ways[2], byName: false},
			{way: ways[i/3%2], byName: true}, {way: ways[2], byName: true},
		} {
			each.row, each.kind = row, kinds[(i+j)%3]
			all = append(all, each)
		}
	}
	return all
}

// chosen are one grant of each row of a single right. They take turns, too.
func chosen() []grant {
	all := grants()
	var some []grant
	for i, row := range rows {
		if len(row.rights) == 1 {
			some = append(some, all[4*i+i/4%4])
		}
	}
	return some
}

// TestGrants wants each row to be given by every kind of binding, for all names
// and by name, and to come with certificates and with a token, which enter the
// gateway by different code; and every kind of subject to get rights in every
// way, for all names and by name. Of the chosen it wants every pair of these.
func TestGrants(t *testing.T) {
	all, some := grants(), chosen()
	for _, row := range rows {
		for _, binding := range []string{"RoleBinding", "ClusterRoleBinding"} {
			for _, byName := range []bool{false, true} {
				there(t, all, fmt.Sprintf("%v by a %s, by name: %t", row.rights, binding, byName), func(g grant) bool {
					return slices.Equal(g.rights, row.rights) && g.binding == binding && g.byName == byName
				})
			}
		}
	}
	for _, kind := range kinds {
		for _, row := range rows {
			there(t, all, fmt.Sprintf("%v to a %s", row.rights, kind), func(g grant) bool { return g.kind == kind && slices.Equal(g.rights, row.rights) })
		}
		for _, w := range ways {
			there(t, some, fmt.Sprintf("%v to a %s", w, kind), func(g grant) bool { return g.kind == kind && g.way == w })
			for _, byName := range []bool{false, true} {
				there(t, all, fmt.Sprintf("%v to a %s, by name: %t", w, kind, byName), func(g grant) bool { return g.kind == kind && g.way == w && g.byName == byName })
				there(t, some, fmt.Sprintf("%v, by name: %t", w, byName), func(g grant) bool { return g.way == w && g.byName == byName })
				there(t, some, fmt.Sprintf("to a %s, by name: %t", kind, byName), func(g grant) bool { return g.kind == kind && g.byName == byName })
			}
		}
	}
}

func there(t *testing.T, grants []grant, what string, is func(grant) bool) {
	t.Helper()
	if !slices.ContainsFunc(grants, is) {
		t.Errorf("no grant is %s", what)
	}
}

// covers tells whether RBAC should say yes to the right at the place. Where
// rights are by name, what has no name is not among them: whole collections,
// and the create of an object whose name stands in its body.
func (g grant) covers(r right, p place) bool {
	return slices.Contains(g.rights, r) &&
		(g.binding == "ClusterRoleBinding" || p.Namespace == here.Namespace) &&
		(!g.byName || p.Name == here.Name || p.Name == newObject.Name)
}

// give makes the role and the binding, and waits until the host knows of them.
func (g grant) give(t *testing.T, c *caller) {
	t.Helper()
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
	switch {
	case g.binding == "ClusterRoleBinding":
		shared.host.Grant(t, c.User, "", rules...)
	case g.role == "Role":
		shared.host.Grant(t, c.User, here.Namespace, rules...)
	default:
		role, err := shared.host.Client.RbacV1().ClusterRoles().Create(t.Context(),
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, Rules: rules}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		shared.host.BindClusterRole(t, c.User, here.Namespace, role.Name)
	}
	for _, r := range g.rights {
		shared.host.AwaitAllowed(t, c.User, r.at(here))
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// way is a right on the host that lets somebody in.
type way struct{ verb, resource, means string }

// ways are all of them, the strongest first.
func ways() []way {
	return []way{
		{"create", "virtualclusters/proxy", "enter as administrator"},
		{"create", "virtualclusters/kubeconfig", "take a kubeconfig"},
		{"get", "virtualclusters/proxy", "look inside"},
		{"get", "virtualclusters", "see it; enter where the gateway is open"},
	}
}

// entry is one subject and what it may do.
type entry struct{ subject, may, by string }

// describeEntrance lists whom the host's RBAC lets in. Other authorizers of the host
// cannot be listed, and so it says that only RBAC was asked.
func (v *view) describeEntrance(ctx context.Context, out io.Writer) {
	fmt.Fprintln(out, "Who may enter, by the host's RBAC:")
	entries, err := v.entrance(ctx)
	if err != nil {
		fmt.Fprintf(out, "  %s\n", hidden(err))
		return
	}
	if len(entries) == 0 {
		fmt.Fprintln(out, "  <none>")
		return
	}
	fmt.Fprintln(out, "  WHO\tMAY\tBY")
	for _, entry := range entries {
		fmt.Fprintf(out, "  %s\t%s\t%s\n", entry.subject, entry.may, entry.by)
	}
}

func (v *view) entrance(ctx context.Context) ([]entry, error) {
	rbac, all := v.client.RbacV1(), metav1.ListOptions{}
	bindings, err := rbac.RoleBindings(v.object.Namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	roles, err := rbac.Roles(v.object.Namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	clusterRoles, err := rbac.ClusterRoles().List(ctx, all)
	if err != nil {
		return nil, err
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for _, role := range roles.Items {
		rules["Role/"+role.Name] = role.Rules
	}
	for _, role := range clusterRoles.Items {
		rules["ClusterRole/"+role.Name] = role.Rules
	}
	var entries []entry
	for _, binding := range bindings.Items {
		entries = append(entries, entriesOf(rules[binding.RoleRef.Kind+"/"+binding.RoleRef.Name], v.object.Name, binding.Subjects, "RoleBinding "+binding.Name)...)
	}
	everywhere, err := rbac.ClusterRoleBindings().List(ctx, all)
	if err != nil {
		return append(entries, entry{"others", "enter by ClusterRoleBindings", hidden(err)}), nil
	}
	for _, binding := range everywhere.Items {
		entries = append(entries, entriesOf(rules[binding.RoleRef.Kind+"/"+binding.RoleRef.Name], v.object.Name, binding.Subjects, "ClusterRoleBinding "+binding.Name)...)
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.subject, b.subject), cmp.Compare(a.by, b.by))
	})
	return entries, nil
}

// entriesOf are the subjects of a binding, where its rules let anybody in.
func entriesOf(rules []rbacv1.PolicyRule, name string, subjects []rbacv1.Subject, by string) []entry {
	var may []string
	for _, way := range ways() {
		if slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return allows(rule, way.verb, way.resource, name) }) {
			may = append(may, way.means)
		}
	}
	if len(may) == 0 {
		return nil
	}
	var entries []entry
	for _, subject := range subjects {
		who := subject.Kind + " " + subject.Name
		if subject.Kind == rbacv1.ServiceAccountKind {
			who = subject.Kind + " " + subject.Namespace + "/" + subject.Name
		}
		entries = append(entries, entry{who, strings.Join(may, ", "), by})
	}
	return entries
}

// allows says whether a rule gives the verb on the object, as RBAC reads it.
func allows(rule rbacv1.PolicyRule, verb, resource, name string) bool {
	_, subresource, _ := strings.Cut(resource, "/")
	return has(rule.Verbs, verb) && has(rule.APIGroups, tenancyv1.GroupName) &&
		(has(rule.Resources, resource) || subresource != "" && slices.Contains(rule.Resources, "*/"+subresource)) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, name))
}

func has(list []string, one string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, one)
}

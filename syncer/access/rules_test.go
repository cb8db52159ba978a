// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestWanted includes what validation outside refuses: the syncer does not rely on it.
func TestWanted(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules []tenancyv1.AccessRule
		// want is role: Kind/subject …
		want []string
	}{
		{"none", nil, nil},
		{"users and groups", []tenancyv1.AccessRule{{Users: []string{"bob"}, Groups: []string{"devs"}, ClusterRole: "edit"}},
			[]string{"garret:access:edit=edit: Group/host:devs User/host:bob"}},
		{"rules about one role are one, without doubles", []tenancyv1.AccessRule{
			{Users: []string{"bob", "anna"}, ClusterRole: "edit"}, {Users: []string{"anna"}, ClusterRole: "edit"}, {Users: []string{"bob"}, ClusterRole: "view"},
		}, []string{"garret:access:edit=edit: User/host:anna User/host:bob", "garret:access:view=view: User/host:bob"}},
		{"names of the control plane are those of the host", []tenancyv1.AccessRule{
			{Users: []string{"system:admin", "host:x", "garret:relay"}, Groups: []string{"system:masters", "garret:admins"}, ClusterRole: "system:node"},
		}, []string{"garret:access:system:node=system:node: Group/host:garret:admins Group/host:system:masters User/host:garret:relay User/host:host:x User/host:system:admin"}},
		{"no names", []tenancyv1.AccessRule{{Users: []string{""}, Groups: []string{""}, ClusterRole: "edit"}}, []string{"garret:access:edit=edit: "}},
		{"roles that cannot be", []tenancyv1.AccessRule{
			{Users: []string{"bob"}}, {Users: []string{"bob"}, ClusterRole: "a/b"}, {Users: []string{"bob"}, ClusterRole: ".."}, {Users: []string{"bob"}, ClusterRole: "a%b"},
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for name, binding := range wanted(test.rules) {
				var subjects []string
				for _, s := range binding.Subjects {
					if s.APIGroup != rbacv1.GroupName || s.Namespace != "" {
						t.Errorf("got subject %+v, want one of RBAC's group", s)
					}
					subjects = append(subjects, s.Kind+"/"+s.Name)
				}
				got = append(got, name+"="+binding.RoleRef.Name+": "+strings.Join(subjects, " "))
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestObserve(t *testing.T) {
	object := func(generation int64, role string) *tenancyv1.VirtualCluster {
		return &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Generation: generation},
			Spec: tenancyv1.VirtualClusterSpec{Access: []tenancyv1.AccessRule{{ClusterRole: role}}}}
	}
	changes := 0
	own := &ownSpec{changed: func() { changes++ }}
	for _, step := range []struct {
		name    string
		seen    *tenancyv1.VirtualCluster
		role    string
		changes int
	}{
		{"its own", object(1, "edit"), "edit", 1},
		{"a new status", object(1, "edit"), "edit", 1},
		{"a new spec", object(2, "view"), "view", 2},
		{"an older one, from a backup", object(1, "edit"), "edit", 3},
	} {
		own.observe(step.seen)
		if got := own.get().rules[0].ClusterRole; got != step.role || changes != step.changes {
			t.Errorf("%s: got role %q after %d changes, want %q after %d", step.name, got, changes, step.role, step.changes)
		}
	}
}

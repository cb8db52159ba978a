// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestLentClasses says who may read the host's classes, and what a syncer shows that may not.
func TestLentClasses(t *testing.T) {
	other := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "team", Name: "vc-other"}
	own := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "team", Name: "vc-demo"}
	const off = "--disable-sync-resources=storageclasses,ingressclasses,runtimeclasses"
	tests := map[string]struct {
		none     bool // there is no binding
		before   []rbacv1.Subject
		spec     func(*tenancyv1.FromHostSpec)
		want     []rbacv1.Subject
		wantArgs []string
	}{
		"by default":       {before: []rbacv1.Subject{other}, want: []rbacv1.Subject{other, own}},
		"already":          {before: []rbacv1.Subject{own, other}, want: []rbacv1.Subject{own, other}},
		"not lent by host": {none: true, wantArgs: []string{off}},
		"asked for": {none: true, spec: func(s *tenancyv1.FromHostSpec) { s.StorageClasses.Enabled = ptr.To(true) },
			wantArgs: []string{off, "--sync-resources=storageclasses"}},
		"none shown any more": {before: []rbacv1.Subject{own, other}, want: []rbacv1.Subject{other}, spec: func(s *tenancyv1.FromHostSpec) {
			for _, class := range []*tenancyv1.ClassSelection{&s.StorageClasses, &s.IngressClasses, &s.RuntimeClasses} {
				class.Enabled = ptr.To(false)
			}
		}, wantArgs: []string{"--disable-sync-resources=ingressclasses,runtimeclasses,storageclasses"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			if test.spec != nil {
				test.spec(&vc.Spec.Syncer.FromHost)
			}
			var objects []runtime.Object
			if !test.none {
				objects = append(objects, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleHostClasses}, Subjects: test.before})
			}
			c := deployer(t, true, objects...)
			args, err := c.syncerArguments(t.Context(), vc, true)
			if err != nil || !slices.Equal(args, test.wantArgs) {
				t.Errorf("got %v and %v, want %v", args, err, test.wantArgs)
			}
			if test.none {
				return
			}
			binding, err := c.Host.RbacV1().ClusterRoleBindings().Get(t.Context(), tenancyv1.RoleHostClasses, metav1.GetOptions{})
			if err != nil || !slices.Equal(binding.Subjects, test.want) {
				t.Errorf("got %v and %v, want %v", binding.Subjects, err, test.want)
			}
		})
	}
}

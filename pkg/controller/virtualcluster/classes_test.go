// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestLentClasses says who may read the host's classes, and what a syncer shows that may not.
func TestLentClasses(t *testing.T) {
	other := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "team", Name: "vc-other"}
	own := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "team", Name: "vc-demo"}
	const off = "--disable-sync-resources=storageclasses,volumeattributesclasses,ingressclasses,runtimeclasses"
	const without = "--disable-sync-resources=volumeattributesclasses"
	tests := map[string]struct {
		none     bool // there is no binding
		unserved bool // the host is too old for a kind
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
		"not served by host": {unserved: true, before: []rbacv1.Subject{other}, want: []rbacv1.Subject{other, own}, wantArgs: []string{without}},
		"neither":            {unserved: true, none: true, wantArgs: []string{without, "--disable-sync-resources=storageclasses,ingressclasses,runtimeclasses"}},
		"none shown any more": {before: []rbacv1.Subject{own, other}, want: []rbacv1.Subject{other}, spec: func(s *tenancyv1.FromHostSpec) {
			for _, class := range []*tenancyv1.ClassSelection{&s.StorageClasses, &s.IngressClasses, &s.RuntimeClasses, &s.VolumeAttributesClasses} {
				class.Enabled = ptr.To(false)
			}
		}, wantArgs: []string{"--disable-sync-resources=ingressclasses,runtimeclasses,storageclasses,volumeattributesclasses"}},
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
			if test.unserved {
				c.Host.(*fake.Clientset).Resources = nil
			}
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

// TestSnapshotClassesTakeDefinitions wants classes of a kind of a CustomResourceDefinition to be shown
// where the host lends both rights, and otherwise only where they are asked for by name.
func TestSnapshotClassesTakeDefinitions(t *testing.T) {
	on := ptr.To(true)
	lentClasses := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleHostClasses}}
	lentContents := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleHostContents}}
	for name, test := range map[string]struct {
		objects   []runtime.Object
		snapshots *bool
		classes   *bool
		want      bool
		// contents says that those of snapshots are shown.
		contents bool
		// lent says that the syncer may read definitions; reason is that of the condition
		// CustomKindsAllowed, empty for none.
		lent   bool
		reason string
	}{
		"no snapshots":           {objects: []runtime.Object{lentClasses, lentDefinitions()}},
		"snapshots":              {objects: []runtime.Object{lentClasses, lentDefinitions()}, snapshots: on, want: true, lent: true, reason: reasonNotOpened},
		"with their contents":    {objects: []runtime.Object{lentClasses, lentContents, lentDefinitions()}, snapshots: on, want: true, contents: true, lent: true, reason: reasonNotOpened},
		"contents alone":         {objects: []runtime.Object{lentContents, lentDefinitions()}, snapshots: on, contents: true, lent: true, reason: reasonNotOpened},
		"classes alone":          {objects: []runtime.Object{lentClasses, lentDefinitions()}, classes: on, want: true, lent: true, reason: reasonAllowed},
		"classes switched off":   {objects: []runtime.Object{lentClasses, lentDefinitions()}, snapshots: on, classes: ptr.To(false), lent: true, reason: reasonNotOpened},
		"no right to classes":    {objects: []runtime.Object{lentDefinitions()}, snapshots: on, lent: true, reason: reasonNotOpened},
		"none to definitions":    {objects: []runtime.Object{lentClasses}, snapshots: on, reason: reasonNotLent},
		"asked for all the same": {objects: []runtime.Object{lentClasses}, classes: on, want: true, reason: reasonNotLent},
	} {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			vc.Spec.Syncer.ToHost.VolumeSnapshots.Enabled, vc.Spec.Syncer.FromHost.VolumeSnapshotClasses.Enabled = test.snapshots, test.classes
			c := deployer(t, true, test.objects...)
			kinds, err := c.customKinds(t.Context(), vc, &memory{})
			if err != nil {
				t.Fatal(err)
			}
			if got := kinds.condition; (got == nil) != (test.reason == "") || got != nil && got.Reason != test.reason {
				t.Errorf("condition: got %+v, want the reason %q", got, test.reason)
			}
			args, err := c.syncerArguments(t.Context(), vc, kinds.definitions)
			if err != nil {
				t.Fatal(err)
			}
			if synced, err := tenancyv1.SelectByArgs(args); err != nil || synced[tenancyv1.ResourceSnapshotClasses] != test.want {
				t.Errorf("got %v, %v, want classes to be shown: %t", args, err, test.want)
			} else if synced[tenancyv1.ResourceSnapshotContents] != test.contents {
				t.Errorf("got %v, want contents to be shown: %t", args, test.contents)
			}
			lender, err := c.Host.RbacV1().ClusterRoleBindings().Get(t.Context(), tenancyv1.RoleHostContents, metav1.GetOptions{})
			if lent := err == nil && len(lender.Subjects) == 1; lent != test.contents {
				t.Errorf("the syncer may get contents: got %t, want %t", lent, test.contents)
			}
			binding, err := c.Host.RbacV1().ClusterRoleBindings().Get(t.Context(), tenancyv1.RoleHostDefinitions, metav1.GetOptions{})
			if lent := err == nil && len(binding.Subjects) == 1; lent != test.lent {
				t.Errorf("the syncer may read definitions: got %t, want %t", lent, test.lent)
			}
		})
	}
}

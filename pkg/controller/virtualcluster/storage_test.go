// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// anywhere is the metadata of a host object of cluster scope.
func anywhere(group, kind, name, id, virtualName string) runtime.Object {
	object := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: group + "v1", Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u", Labels: map[string]string{tenancyv1.LabelCluster: id}}}
	if virtualName != "" {
		object.Annotations = map[string]string{tenancyv1.AnnotationVirtualName: virtualName}
	}
	return object
}

// TestStorageGoesWithTheVirtualCluster wants volumes and classes of the deleted virtual cluster to be
// deleted, or volumes to be kept and marked, and those of others to be left alone.
func TestStorageGoesWithTheVirtualCluster(t *testing.T) {
	for name, test := range map[string]struct {
		retention    tenancyv1.StorageRetention
		gone, marked []string
	}{
		"delete": {"", []string{"own-class", "own-volume"}, nil},
		"retain": {tenancyv1.RetentionRetain, []string{"own-class"}, []string{"own-volume"}},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := metadatafake.NewTestScheme()
			if err := metav1.AddMetaToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			host := metadatafake.NewSimpleMetadataClient(scheme,
				anywhere("", "PersistentVolume", "own-volume", "0123456789", "data"), anywhere("", "PersistentVolume", "foreign-volume", "abcdef0123", "data"),
				anywhere("", "PersistentVolume", "labelled-volume", "0123456789", ""),
				anywhere("storage.k8s.io/", "StorageClass", "own-class", "0123456789", "fast"), anywhere("storage.k8s.io/", "StorageClass", "foreign-class", "abcdef0123", "fast"))
			c := withCaches(t)
			c.Metadata = host
			vc := object(1)
			vc.Status.ClusterID, vc.Spec.ControlPlane.Storage.WhenDeleted = "0123456789", test.retention
			for _, kind := range tenancyv1.Catalogue() {
				if kind.Direction == tenancyv1.ToHost && !kind.Namespaced {
					if _, err := c.removeKind(t.Context(), vc, &memory{}, kind); err != nil {
						t.Fatal(err)
					}
				}
			}
			var gone, marked []string
			for _, action := range host.Actions() {
				if action.GetNamespace() != "" {
					t.Errorf("%s %s in namespace %s, want none", action.GetVerb(), action.GetResource().Resource, action.GetNamespace())
				}
				switch action := action.(type) {
				case clienttesting.DeleteActionImpl:
					gone = append(gone, action.Name)
				case clienttesting.PatchActionImpl:
					marked = append(marked, action.Name)
				}
			}
			slices.Sort(gone)
			if !slices.Equal(gone, test.gone) || !slices.Equal(marked, test.marked) {
				t.Errorf("deleted %v and marked %v, want %v and %v", gone, marked, test.gone, test.marked)
			}
		})
	}
}

// TestStorageIsLent wants a syncer to have the rights of the kinds that its virtual cluster has on,
// and of no others.
func TestStorageIsLent(t *testing.T) {
	own := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "team", Name: "vc-demo"}
	for name, test := range map[string]struct {
		volumes, classes, contents *bool
		before                     []rbacv1.Subject
		want                       map[string]bool
	}{
		"by default":   {nil, nil, nil, []rbacv1.Subject{own}, nil},
		"contents":     {nil, nil, ptr.To(true), nil, map[string]bool{tenancyv1.RoleHostOwnContents: true}},
		"volumes":      {ptr.To(true), nil, nil, nil, map[string]bool{tenancyv1.RoleHostVolumes: true}},
		"classes":      {nil, ptr.To(true), nil, nil, map[string]bool{tenancyv1.RoleHostStorageClasses: true}},
		"switched off": {ptr.To(false), ptr.To(true), ptr.To(false), []rbacv1.Subject{own}, map[string]bool{tenancyv1.RoleHostStorageClasses: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []runtime.Object
			for _, role := range tenancyv1.ClusterRoles() {
				objects = append(objects, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role}, Subjects: test.before})
			}
			c, vc := deployer(t, true, objects...), object(1)
			vc.Spec.Syncer.ToHost.PersistentVolumes.Enabled, vc.Spec.Syncer.ToHost.StorageClasses.Enabled = test.volumes, test.classes
			vc.Spec.Syncer.ToHost.VolumeSnapshotContents.Enabled = test.contents
			if _, err := c.syncerArguments(t.Context(), vc, true); err != nil {
				t.Fatal(err)
			}
			for _, role := range tenancyv1.WritingRoles() {
				binding, err := c.Host.RbacV1().ClusterRoleBindings().Get(t.Context(), role, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.Contains(binding.Subjects, own); got != test.want[role] {
					t.Errorf("%s: lent %t, want %t", role, got, test.want[role])
				}
			}
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestBorrowedStorage has somebody with edit borrow the account of a syncer that carries volumes and
// classes. What the HostCluster does not allow, garret-apiserver refuses, whoever writes it.
func TestBorrowedStorage(t *testing.T) {
	b := borrow(t, v1.ReleaseName(name))
	account := framework.User{Name: "system:serviceaccount:" + namespace + ":" + v1.ReleaseName(name),
		Subject: rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: v1.ReleaseName(name)}}
	for _, role := range v1.WritingRoles() {
		shared.host.BindClusterRole(t, account, "", role)
	}
	allow := func(storage string) {
		t.Helper()
		_, err := shared.garret.Clients.TenancyV1().HostClusters().Patch(context.Background(), v1.LocalHostCluster, types.MergePatchType,
			[]byte(`{"spec":{"isolation":{"allowedStorage":`+storage+`}}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	allow(fmt.Sprintf(`{"csi":[{"driver":"disks.example.org","volumeHandles":["own-*"],"snapshotHandles":["snap-*"],"namespaces":[%[1]q]},{"driver":"disks.example.org","volumeHandles":["other-*"],"namespaces":["other"]}],
"storageClasses":[{"provisioner":"disks.example.org","parameters":[{"name":"tier","values":["fast"]}]}]}`, namespace))
	t.Cleanup(func() { allow("null") })
	dry := metav1.CreateOptions{DryRun: dryRun}
	volume := func(id string, change func(*corev1.PersistentVolumeSpec)) func(context.Context) error {
		object := &corev1.PersistentVolume{ObjectMeta: marked("new", id), Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disks.example.org", VolumeHandle: "own-1"}},
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: "claim", UID: "u"},
		}}
		object.Namespace = ""
		change(&object.Spec)
		return func(ctx context.Context) error {
			_, err := b.CoreV1().PersistentVolumes().Create(ctx, object, dry)
			return err
		}
	}
	class := func(id string, parameters map[string]string) func(context.Context) error {
		object := &storagev1.StorageClass{ObjectMeta: marked("new", id), Provisioner: "disks.example.org", Parameters: parameters}
		object.Namespace = ""
		return func(ctx context.Context) error {
			_, err := b.StorageV1().StorageClasses().Create(ctx, object, dry)
			return err
		}
	}
	contents, _ := v1.CataloguedKind(v1.OwnSnapshotContents)
	if err := shared.host.ServeClusterWide(t.Context(), contents.GroupVersionResource(), "VolumeSnapshotContent"); err != nil {
		t.Fatal(err)
	}
	content := func(id, handle string) func(context.Context) error {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": v1.SnapshotGroup + "/v1", "kind": "VolumeSnapshotContent", "spec": map[string]any{
			"driver": "disks.example.org", "deletionPolicy": "Retain", "source": map[string]any{"snapshotHandle": handle},
			"volumeSnapshotRef": map[string]any{"namespace": namespace, "name": "snapshot", "uid": "u"}}}}
		object.SetName("new")
		object.SetLabels(map[string]string{v1.LabelCluster: id})
		return func(ctx context.Context) error {
			_, err := b.objects.Resource(contents.GroupVersionResource()).Create(ctx, object, dry)
			return err
		}
	}
	as := func(*corev1.PersistentVolumeSpec) {}
	framework.Eventually(t, "policy and webhook are in force, and its own is allowed", func(ctx context.Context) (bool, error) {
		return apierrors.IsForbidden(volume(foreignID, as)(ctx)) && apierrors.IsForbidden(class(b.id, map[string]string{"tier": "slow"})(ctx)) && volume(b.id, as)(ctx) == nil && content(b.id, "snap-1")(ctx) == nil && class(b.id, map[string]string{"tier": "fast"})(ctx) == nil, nil
	})
	for what, attack := range map[string]struct {
		do   func(context.Context) error
		want string
	}{
		"open another namespace's data": {volume(b.id, func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeHandle = "other-1" }), `spec.csi.volumeHandle "other-1" is refused`},
		"open anybody's data":           {volume(b.id, func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeHandle = "1" }), "no such handle is allowed"},
		"climb":                         {volume(b.id, func(s *corev1.PersistentVolumeSpec) { s.CSI.VolumeHandle = "own-/../other-1" }), "may lead out of what is allowed"},
		"mount with an option":          {volume(b.id, func(s *corev1.PersistentVolumeSpec) { s.MountOptions = []string{"suid"} }), "spec.mountOptions[0]"},
		"mount anybody's share": {volume(b.id, func(s *corev1.PersistentVolumeSpec) {
			s.CSI, s.NFS = nil, &corev1.NFSVolumeSource{Server: "192.0.2.7", Path: "/"}
		}), "no share of this server is allowed"},
		"mount the node":               {volume(b.id, func(s *corev1.PersistentVolumeSpec) { s.CSI, s.HostPath = nil, &corev1.HostPathVolumeSource{Path: "/"} }), ""},
		"give data to another's claim": {volume(b.id, func(s *corev1.PersistentVolumeSpec) { s.ClaimRef.Namespace = "default" }), ""},
		"ask a provisioner for more":   {class(b.id, map[string]string{"tier": "slow"}), "parameters[tier]"},
		"open another's snapshot":      {content(b.id, "other-1"), `spec.source.snapshotHandle "other-1" is refused`},
		"write another's content":      {content(foreignID, "snap-1"), "objects of its own virtual cluster only"},
		"write another's class":        {class(foreignID, map[string]string{"tier": "fast"}), "objects of its own virtual cluster only"},
	} {
		if err := attack.do(t.Context()); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), attack.want) {
			t.Errorf("%s: got %v, want it forbidden: %s", what, err, attack.want)
		}
	}
}

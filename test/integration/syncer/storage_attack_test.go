// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestStolenAccountAndStorage has somebody with the account of a syncer reach for the volumes and
// classes of others, and for nodes. The syncer itself is not asked.
func TestStolenAccountAndStorage(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	id := s.translator.Cluster().ID
	storage := map[string]bool{tenancyv1.ResourceVolumes: true, tenancyv1.OwnStorageClasses: true}
	// Beside that of the syncer, which goes on with its own.
	account := s.lent("vc-stolen", []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}}}, append(tenancyv1.SyncerClusterRules(storage), rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"hostobjects"}, Verbs: []string{"lent"}}))
	volume := func(change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: s.hostNamespace + "-stolen", Labels: map[string]string{tenancyv1.LabelCluster: id}}, Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "a"}},
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: s.hostNamespace, Name: "claim", UID: "u"},
		}}
		if change != nil {
			change(v)
		}
		return v
	}
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		want   string
	}{
		"a directory of a node": {func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		}, "CSI drivers and NFS shares only"},
		"a disk of a node": {func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/"}}
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: corev1.NodeSelectorOpExists}}}}}}
		}, "CSI drivers and NFS shares only"},
		"iSCSI": {func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{TargetPortal: "192.0.2.1", IQN: "iqn.2026-01.org.example:a"}}
		}, "CSI drivers and NFS shares only"},
		"a Secret of the system": {func(v *corev1.PersistentVolume) {
			v.Spec.CSI.NodeStageSecretRef = &corev1.SecretReference{Namespace: "kube-system", Name: "a"}
		}, "without references to Secrets only"},
		"a claim of another namespace": {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "default" }, "claims of its own namespace only"},
		"no claim":                     {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }, "claims of its own namespace only"},
		"any claim of the name":        {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "" }, "claims of its own namespace only"},
		"another virtual cluster's": {func(v *corev1.PersistentVolume) {
			v.Labels[tenancyv1.LabelCluster] = "0123456789"
		}, "objects of its own virtual cluster only"},
		"nobody's": {func(v *corev1.PersistentVolume) { v.Labels = nil }, "objects of its own virtual cluster only"},
		"data to be deleted": {func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
		}, "reclaim policy Retain only"},
	} {
		_, err := account.CoreV1().PersistentVolumes().Create(ctx, volume(test.change), metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want it refused: %s", name, err, test.want)
		}
	}
	own, err := account.CoreV1().PersistentVolumes().Create(ctx, volume(nil), metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		_ = s.host.CoreV1().PersistentVolumes().Delete(context.Background(), own.Name, metav1.DeleteOptions{})
	})
	foreign, err := s.host.CoreV1().PersistentVolumes().Create(ctx, volume(func(v *corev1.PersistentVolume) {
		v.Name, v.Labels = s.hostNamespace+"-foreign", map[string]string{tenancyv1.LabelCluster: "0123456789"}
	}), metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		_ = s.host.CoreV1().PersistentVolumes().Delete(context.Background(), foreign.Name, metav1.DeleteOptions{})
	})
	for name, change := range map[string]struct{ volume, patch, want string }{
		"taking another's":           {foreign.Name, `{"metadata":{"labels":{"garret.dev/cluster":"` + id + `"}}}`, "objects of its own virtual cluster only"},
		"taking the mark off":        {own.Name, `{"metadata":{"labels":{"garret.dev/cluster":null}}}`, "objects of its own virtual cluster only"},
		"giving it to another claim": {own.Name, `{"spec":{"claimRef":{"namespace":"default"}}}`, "claims of its own namespace only"},
		"opening it to any claim":    {own.Name, `{"spec":{"claimRef":null}}`, "claims of its own namespace only"},
		"having data deleted":        {own.Name, `{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}`, "reclaim policy Retain only"},
	} {
		_, err := account.CoreV1().PersistentVolumes().Patch(ctx, change.volume, types.MergePatchType, []byte(change.patch), metav1.PatchOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: got %v, want it refused: %s", name, err, change.want)
		}
	}
	if err := account.CoreV1().PersistentVolumes().Delete(ctx, foreign.Name, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting another's: got %v", err)
	}

	class := func(change func(*storagev1.StorageClass)) *storagev1.StorageClass {
		c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: s.hostNamespace + "-stolen", Labels: map[string]string{tenancyv1.LabelCluster: id}}, Provisioner: driver, Parameters: map[string]string{"tier": "fast"}}
		change(c)
		return c
	}
	for name, test := range map[string]struct {
		change func(*storagev1.StorageClass)
		want   string
	}{
		"nobody's":               {func(c *storagev1.StorageClass) { c.Labels = nil }, "objects of its own virtual cluster only"},
		"a Secret of the system": {func(c *storagev1.StorageClass) { c.Parameters["csi.storage.k8s.io/node-Stage-Secret-name"] = "a" }, "references to Secrets and namespaces only"},
		"a namespace":            {func(c *storagev1.StorageClass) { c.Parameters["userNamespace"] = "kube-system" }, "references to Secrets and namespaces only"},
		"the host's default": {func(c *storagev1.StorageClass) {
			c.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
		}, "the default of the host"},
	} {
		_, err := account.StorageV1().StorageClasses().Create(ctx, class(test.change), metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want it refused: %s", name, err, test.want)
		}
	}
	if _, err := account.CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("secrets of the system: got %v", err)
	}

	// Whoever may change the Role in the namespace, and takes from it what binds the account there,
	// has no volumes with it at all.
	bindings, err := s.host.RbacV1().RoleBindings(s.hostNamespace).List(ctx, metav1.ListOptions{})
	s.must(err)
	for _, binding := range bindings.Items {
		if binding.Subjects[0].Name == "vc-stolen" {
			s.must(s.host.RbacV1().RoleBindings(s.hostNamespace).Delete(ctx, binding.Name, metav1.DeleteOptions{}))
		}
	}
	framework.Eventually(t, "the account owns nothing any more", func(ctx context.Context) (bool, error) {
		_, err := account.CoreV1().PersistentVolumes().Create(ctx, volume(func(v *corev1.PersistentVolume) { v.Name += "-2" }), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "objects of its own virtual cluster only"), nil
	})
	_, err = account.CoreV1().PersistentVolumes().Create(ctx, volume(func(v *corev1.PersistentVolume) {
		v.Name += "-3"
		v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
	}), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("a directory of a node, without the Role: got %v", err)
	}
}

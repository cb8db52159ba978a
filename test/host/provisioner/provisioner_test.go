// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func options(change func(*controller.ProvisionOptions)) controller.ProvisionOptions {
	reclaim := corev1.PersistentVolumeReclaimDelete
	o := controller.ProvisionOptions{
		StorageClass:     &storagev1.StorageClass{ReclaimPolicy: &reclaim},
		PVName:           "pvc-1",
		SelectedNodeName: "node1",
		PVC: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "default"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			},
		},
	}
	change(&o)
	return o
}

func TestProvision(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	for name, tt := range map[string]struct {
		change func(*controller.ProvisionOptions)
		failed string
	}{
		"a plain claim": {change: func(*controller.ProvisionOptions) {}},
		"read-write once, by one pod": {change: func(o *controller.ProvisionOptions) {
			o.PVC.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
		}},
		"shared between nodes": {change: func(o *controller.ProvisionOptions) {
			o.PVC.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
		}, failed: "belongs to one node"},
		"a block device": {change: func(o *controller.ProvisionOptions) { o.PVC.Spec.VolumeMode = &block }, failed: "block volumes"},
		"a selector":     {change: func(o *controller.ProvisionOptions) { o.PVC.Spec.Selector = &metav1.LabelSelector{} }, failed: "selector"},
		"no node":        {change: func(o *controller.ProvisionOptions) { o.SelectedNodeName = "" }, failed: "WaitForFirstConsumer"},
	} {
		t.Run(name, func(t *testing.T) {
			f := folders{dir: t.TempDir()}
			pv, state, err := f.Provision(t.Context(), options(tt.change))
			if state != controller.ProvisioningFinished {
				t.Errorf("state: got %s, want %s", state, controller.ProvisioningFinished)
			}
			if tt.failed != "" {
				if err == nil || !strings.Contains(err.Error(), tt.failed) {
					t.Errorf("got %v, want an error with %q", err, tt.failed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(pv.Spec.Local.Path)
			if err != nil || info.Mode().Perm() != 0o777 || filepath.Dir(pv.Spec.Local.Path) != f.dir {
				t.Errorf("folder %s: got %v, %v; want one that all may write", pv.Spec.Local.Path, info, err)
			}
			terms := pv.Spec.NodeAffinity.Required.NodeSelectorTerms
			if got := terms[0].MatchExpressions[0].Values[0]; got != "node1" {
				t.Errorf("node: got %s, want node1", got)
			}
			if got := pv.Spec.Capacity[corev1.ResourceStorage]; got.String() != "1Gi" {
				t.Errorf("capacity: got %s, want 1Gi", got.String())
			}
		})
	}
}

func TestDelete(t *testing.T) {
	f := folders{dir: t.TempDir()}
	pv, _, err := f.Provision(t.Context(), options(func(*controller.ProvisionOptions) {}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pv.Spec.Local.Path, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left to do
		if err := f.Delete(t.Context(), pv); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(pv.Spec.Local.Path); !os.IsNotExist(err) {
		t.Errorf("got %v, want the folder gone", err)
	}
}

// A volume that names a path of its own must not make us delete that.
func TestDeleteIgnoresForeignPaths(t *testing.T) {
	f := folders{dir: t.TempDir()}
	victim := t.TempDir()
	for name, volume := range map[string]*corev1.PersistentVolume{
		"elsewhere":       {ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: victim}}}},
		"of another kind": {ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"}},
	} {
		var ignored *controller.IgnoredError
		if err := f.Delete(t.Context(), volume); !errors.As(err, &ignored) {
			t.Errorf("%s: got %v, want it ignored", name, err)
		}
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}

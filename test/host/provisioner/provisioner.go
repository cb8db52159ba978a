// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provisioner makes volumes out of folders of the machine, for the
// default StorageClass of a test host.
//
// A volume is a folder which belongs to the node that the scheduler chose for
// the first pod that uses it; pods reach it as a local volume with affinity to
// that node. Its mode lets any user write, so that pods which run as nobody in
// particular need no help of an init container. Deleting the volume deletes
// the folder.
package provisioner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is what StorageClasses call this provisioner.
const Name = "garret.dev/local-path"

// folders provisions folders below dir.
type folders struct{ dir string }

var _ controller.Provisioner = folders{}

// Run provisions volumes below dir until ctx ends.
func Run(ctx context.Context, client kubernetes.Interface, dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("volume folder %q is not an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("volume folder: %w", err)
	}
	controller.NewProvisionController(ctx, client, Name, folders{dir: dir},
		// There is only one, and nobody to take over from.
		controller.LeaderElection(false),
	).Run(ctx)
	return nil
}

// Provision makes the folder of a claim.
func (f folders) Provision(ctx context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("claims with a selector cannot be provisioned")
	}
	if o.PVC.Spec.VolumeMode != nil && *o.PVC.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, errors.New("block volumes cannot be made of folders")
	}
	for _, mode := range o.PVC.Spec.AccessModes {
		if mode == corev1.ReadWriteMany || mode == corev1.ReadOnlyMany {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s: a folder belongs to one node", mode)
		}
	}
	if o.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished, errors.New("no node was chosen: the class must have volumeBindingMode WaitForFirstConsumer")
	}
	path := f.path(o.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("volume %s: %w", o.PVName, err)
	}
	if err := os.Chmod(path, 0o777); err != nil { // past the umask
		return nil, controller.ProvisioningFinished, fmt.Errorf("volume %s: %w", o.PVName, err)
	}
	klog.FromContext(ctx).Info("Provisioned a volume", "volume", o.PVName, "claim", klog.KObj(o.PVC), "node", o.SelectedNodeName)
	return volume(o, path), controller.ProvisioningFinished, nil
}

// Delete removes the folder of a volume.
func (f folders) Delete(ctx context.Context, pv *corev1.PersistentVolume) error {
	path := f.path(pv.Name)
	if pv.Spec.Local == nil || pv.Spec.Local.Path != path {
		// Never follow a path out of an object that others may have written.
		return &controller.IgnoredError{Reason: fmt.Sprintf("volume %s does not lie at %s", pv.Name, path)}
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("volume %s: %w", pv.Name, err)
	}
	klog.FromContext(ctx).Info("Deleted a volume", "volume", pv.Name)
	return nil
}

func (f folders) path(name string) string { return filepath.Join(f.dir, filepath.Base(name)) }

func volume(o controller.ProvisionOptions, path string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			MountOptions:                  o.StorageClass.MountOptions,
			VolumeMode:                    o.PVC.Spec.VolumeMode,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{o.SelectedNodeName},
				}},
			}}}},
		},
	}
}

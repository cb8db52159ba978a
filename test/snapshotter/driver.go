// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	snapshots "github.com/kubernetes-csi/external-snapshotter/client/v8/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// driver keeps volumes and snapshots in folders. It is the Snapshotter of the one controller, and
// the Provisioner of the other.
type driver struct {
	name, node string
	// volumes and taken are the folders of volumes and of snapshots.
	volumes, taken string
	snapshots      snapshots.Interface
	client         kubernetes.Interface
}

func newDriver(name, dir, node string, snapshots snapshots.Interface, client kubernetes.Interface) (*driver, error) {
	d := &driver{name, node, filepath.Join(dir, "volumes"), filepath.Join(dir, "snapshots"), snapshots, client}
	for _, folder := range []string{d.volumes, d.taken} {
		if err := os.MkdirAll(folder, 0o711); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// below is the folder of the name, and nothing outside.
func below(folder, name string) string { return filepath.Join(folder, filepath.Base(name)) }

// copied makes the folder to a copy of the other one, or leaves it where it is there.
func copied(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	half := to + ".half"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	if err := os.CopyFS(half, os.DirFS(from)); err != nil {
		return err
	}
	if err := os.Chmod(half, 0o777); err != nil { // past the umask, for any user of a pod
		return err
	}
	return os.Rename(half, to)
}

// CreateSnapshot copies a volume.
func (d *driver) CreateSnapshot(_ context.Context, name, volume string, _, _ map[string]string) (string, string, time.Time, int64, bool, error) {
	to := below(d.taken, name)
	if err := copied(below(d.volumes, volume), to); err != nil {
		return "", "", time.Time{}, 0, false, err
	}
	_, at, size, _, err := d.GetSnapshotStatus(context.Background(), name, nil)
	return d.name, name, at, size, true, err
}

// DeleteSnapshot deletes the copy.
func (d *driver) DeleteSnapshot(_ context.Context, id string, _ map[string]string) error {
	return os.RemoveAll(below(d.taken, id))
}

// GetSnapshotStatus says how many bytes the copy has.
func (d *driver) GetSnapshotStatus(_ context.Context, id string, _ map[string]string) (bool, time.Time, int64, string, error) {
	folder := below(d.taken, id)
	info, err := os.Stat(folder)
	if err != nil {
		return false, time.Time{}, 0, "", err
	}
	var size int64
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := entry.Info()
		if err == nil {
			size += file.Size()
		}
		return err
	})
	return true, info.ModTime(), size, "", err
}

// Provision makes the folder of a claim, empty or out of what the claim names.
func (d *driver) Provision(ctx context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	path := below(d.volumes, o.PVName)
	from, err := d.source(ctx, o.PVC)
	switch {
	case err != nil:
	case from != "":
		err = copied(from, path)
	default:
		if err = os.MkdirAll(path, 0o777); err == nil {
			err = os.Chmod(path, 0o777)
		}
	}
	if err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("volume %s: %w", o.PVName, err)
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy, AccessModes: o.PVC.Spec.AccessModes, VolumeMode: o.PVC.Spec.VolumeMode,
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: d.name, VolumeHandle: o.PVName}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{d.node}}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// source is the folder that the volume is to be a copy of; empty for none.
func (d *driver) source(ctx context.Context, claim *corev1.PersistentVolumeClaim) (string, error) {
	source := claim.Spec.DataSource
	if source == nil {
		return "", nil
	}
	if source.Kind == "PersistentVolumeClaim" {
		from, err := d.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, source.Name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		if from.Spec.VolumeName == "" {
			return "", fmt.Errorf("claim %s has no volume yet", source.Name)
		}
		return below(d.volumes, from.Spec.VolumeName), nil
	}
	taken, err := d.snapshots.SnapshotV1().VolumeSnapshots(claim.Namespace).Get(ctx, source.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if status := taken.Status; status == nil || status.ReadyToUse == nil || !*status.ReadyToUse || status.BoundVolumeSnapshotContentName == nil {
		return "", fmt.Errorf("snapshot %s is not ready", source.Name)
	}
	content, err := d.snapshots.SnapshotV1().VolumeSnapshotContents().Get(ctx, *taken.Status.BoundVolumeSnapshotContentName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if content.Status == nil || content.Status.SnapshotHandle == nil {
		return "", errors.New("the content has no snapshot")
	}
	return below(d.taken, *content.Status.SnapshotHandle), nil
}

// Delete removes the folder of a volume.
func (d *driver) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.CSI == nil || volume.Spec.CSI.Driver != d.name || volume.Spec.CSI.VolumeHandle != volume.Name {
		return &controller.IgnoredError{Reason: fmt.Sprintf("volume %s is not the driver's", volume.Name)}
	}
	return os.RemoveAll(below(d.volumes, volume.Name))
}

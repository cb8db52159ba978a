// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// hostDriver is the driver in the volumes inside. Nothing inside attaches or
	// mounts them: the host's kubelet does, by the claim on the host.
	hostDriver = "host.garret.dev"

	annotationStorageClass = "volume.beta.kubernetes.io/storage-class"
)

// claims carries volume claims to the host, and makes a volume inside for each
// claim that the host has bound, so that the control plane inside binds it too.
type claims struct {
	translator *translate.Translator
	virtual    *Virtual
}

var (
	_ engine.Kind[*corev1.PersistentVolumeClaim]     = &claims{}
	_ engine.FromHost[*corev1.PersistentVolumeClaim] = &claims{}
)

// Wanted is true for every claim: the host decides whether a volume waits for a pod.
func (c *claims) Wanted(context.Context, *corev1.PersistentVolumeClaim) (bool, error) {
	return true, nil
}

// ToHost translates the claim.
func (c *claims) ToHost(_ context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	c.translator.Mark(host, translate.IdentityFor(virtual), virtual.Labels, nil)
	if host.UID != "" {
		// Only growth is possible.
		wanted, current := virtual.Spec.Resources.Requests[corev1.ResourceStorage], host.Spec.Resources.Requests[corev1.ResourceStorage]
		if wanted.Cmp(current) > 0 {
			host.Spec.Resources.Requests[corev1.ResourceStorage] = wanted.DeepCopy()
		}
		return nil
	}
	if err := c.checkVolume(virtual); err != nil {
		return err
	}
	host.Spec = *virtual.Spec.DeepCopy()
	host.Spec.VolumeName = ""
	if class, found := virtual.Annotations[annotationStorageClass]; found && host.Spec.StorageClassName == nil {
		host.Spec.StorageClassName = &class
	}
	return c.source(virtual, host)
}

// checkVolume refuses a claim of a volume that exists inside only.
func (c *claims) checkVolume(virtual *corev1.PersistentVolumeClaim) error {
	if virtual.Spec.VolumeName == "" {
		return nil
	}
	volume, found := c.virtual.Volumes.Get("", virtual.Spec.VolumeName)
	if found && isMirror(volume) {
		return nil
	}
	return engine.Refuse(reasonUntranslatable, fmt.Sprintf("volume %s is not one of the host cluster's", virtual.Spec.VolumeName))
}

// source translates the claim that the volume is to be a copy of.
func (c *claims) source(virtual, host *corev1.PersistentVolumeClaim) error {
	host.Spec.DataSource = nil
	source := virtual.Spec.DataSourceRef
	if source == nil {
		return nil
	}
	if source.Kind != "PersistentVolumeClaim" || ptr.Deref(source.APIGroup, "") != "" || ptr.Deref(source.Namespace, virtual.Namespace) != virtual.Namespace {
		return engine.Refuse(reasonUntranslatable, fmt.Sprintf("data source %s %s is not carried to the host cluster", source.Kind, source.Name))
	}
	host.Spec.DataSourceRef.Namespace = nil
	host.Spec.DataSourceRef.Name = c.translator.HostName(virtual.Namespace, source.Name)
	return nil
}

// FromHost makes the volume inside once the host has bound the claim. The
// control plane inside then binds the claim to it, and writes its status.
func (c *claims) FromHost(ctx context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	if host.Status.Phase != corev1.ClaimBound || host.Spec.VolumeName == "" || virtual.DeletionTimestamp != nil {
		return nil
	}
	if _, found := c.virtual.Volumes.Get("", host.Spec.VolumeName); found {
		return c.grow(ctx, virtual, host)
	}
	_, err := c.virtual.Client.CoreV1().PersistentVolumes().Create(ctx, c.volume(virtual, host), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("volume %s inside: %w", host.Spec.VolumeName, err)
	}
	return nil
}

func (c *claims) volume(virtual, host *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:   host.Spec.VolumeName,
			Labels: map[string]string{tenancyv1.LabelCluster: c.translator.Cluster().ID},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         host.Status.Capacity.DeepCopy(),
			AccessModes:      virtual.Spec.AccessModes,
			VolumeMode:       virtual.Spec.VolumeMode,
			StorageClassName: ptr.Deref(virtual.Spec.StorageClassName, ""),
			// The host decides what becomes of the real one.
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: virtual.Namespace, Name: virtual.Name, UID: virtual.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: hostDriver, VolumeHandle: host.Name},
			},
		},
	}
}

// grow shows inside that the host has made the volume larger.
func (c *claims) grow(ctx context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	size, known := host.Status.Capacity[corev1.ResourceStorage], virtual.Status.Capacity[corev1.ResourceStorage]
	if virtual.Status.Phase != corev1.ClaimBound || size.Cmp(known) <= 0 {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status.Capacity[corev1.ResourceStorage] = size
	changed.Status.Conditions = host.DeepCopy().Status.Conditions
	if _, err := c.virtual.Client.CoreV1().PersistentVolumeClaims(virtual.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("capacity inside: %w", err)
	}
	return nil
}

// isMirror says whether the volume inside was made for a claim on the host.
func isMirror(volume *corev1.PersistentVolume) bool {
	return volume.Spec.CSI != nil && volume.Spec.CSI.Driver == hostDriver && volume.Labels[tenancyv1.LabelCluster] != ""
}

// volumes removes the volumes inside whose claim is gone.
type volumes struct{ virtual *Virtual }

// Reconcile looks at one volume inside.
func (v *volumes) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	volume, found := v.virtual.Volumes.Get("", key.Name)
	if !found || !isMirror(volume) || volume.DeletionTimestamp != nil || volume.Spec.ClaimRef == nil {
		return 0, nil
	}
	reference := volume.Spec.ClaimRef
	if claim, found := v.virtual.Claims.Get(reference.Namespace, reference.Name); found && claim.UID == reference.UID {
		return 0, nil
	}
	err := v.virtual.Client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &volume.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("delete volume %s inside: %w", volume.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted a volume inside", "volume", volume.Name)
	return 0, nil
}

// ofClaim names the volume that a claim is bound to.
func (v *volumes) ofClaim(object any) []types.NamespacedName {
	claim := object.(*corev1.PersistentVolumeClaim)
	if claim.Spec.VolumeName == "" {
		return nil
	}
	return []types.NamespacedName{{Name: claim.Spec.VolumeName}}
}

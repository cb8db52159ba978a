// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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

// claims carries volume claims to the host, and binds them inside as the host
// has bound them.
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

// FromHost plays the binder inside, where none runs: once the host has bound
// the claim, it makes a volume, names it in the claim, and reports the status.
func (c *claims) FromHost(ctx context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	if virtual.DeletionTimestamp != nil {
		return nil
	}
	client := c.virtual.Client.CoreV1().PersistentVolumeClaims(virtual.Namespace)
	if host.Status.Phase == corev1.ClaimBound && host.Spec.VolumeName != "" {
		if err := c.showVolume(ctx, virtual, host); err != nil {
			return err
		}
		if virtual.Spec.VolumeName == "" {
			bound := virtual.DeepCopy()
			bound.Spec.VolumeName = host.Spec.VolumeName
			if bound.Spec.StorageClassName == nil {
				bound.Spec.StorageClassName = host.Spec.StorageClassName
			}
			updated, err := client.Update(ctx, bound, metav1.UpdateOptions{})
			if err != nil {
				return fmt.Errorf("bind inside: %w", err)
			}
			virtual = updated
		}
	}
	if equality.Semantic.DeepEqual(virtual.Status, host.Status) {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status = *host.Status.DeepCopy()
	if _, err := client.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

// showVolume makes the volume inside what the host's is.
func (c *claims) showVolume(ctx context.Context, virtual, host *corev1.PersistentVolumeClaim) error {
	client := c.virtual.Client.CoreV1().PersistentVolumes()
	volume, found := c.virtual.Volumes.Get("", host.Spec.VolumeName)
	var err error
	switch {
	case !found:
		volume, err = client.Create(ctx, c.volume(virtual, host), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return engine.Again("the volume inside is not in the cache yet")
		}
	case !isMirror(volume):
		return engine.Refuse(reasonUntranslatable, fmt.Sprintf("the name of volume %s is taken inside", volume.Name))
	case !equality.Semantic.DeepEqual(volume.Spec.Capacity, host.Status.Capacity):
		volume = volume.DeepCopy()
		volume.Spec.Capacity = host.Status.Capacity.DeepCopy()
		volume, err = client.Update(ctx, volume, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("volume %s inside: %w", host.Spec.VolumeName, err)
	}
	if volume.Status.Phase != corev1.VolumeBound {
		volume = volume.DeepCopy()
		volume.Status.Phase = corev1.VolumeBound
		if _, err := client.UpdateStatus(ctx, volume, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("status of volume %s inside: %w", volume.Name, err)
		}
	}
	return nil
}

func (c *claims) volume(virtual, host *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	class := virtual.Spec.StorageClassName
	if class == nil {
		class = host.Spec.StorageClassName
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:   host.Spec.VolumeName,
			Labels: map[string]string{tenancyv1.LabelCluster: c.translator.Cluster().ID},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         host.Status.Capacity.DeepCopy(),
			AccessModes:      virtual.Spec.AccessModes,
			VolumeMode:       virtual.Spec.VolumeMode,
			StorageClassName: ptr.Deref(class, ""),
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

// isMirror says whether the volume inside was made for a claim on the host.
func isMirror(volume *corev1.PersistentVolume) bool {
	return volume.Spec.CSI != nil && volume.Spec.CSI.Driver == hostDriver && volume.Labels[tenancyv1.LabelCluster] != ""
}

// volumes removes the volumes inside whose claim is gone.
type volumes struct{ virtual *Virtual }

// Reconcile looks at one volume inside.
func (v *volumes) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	volume, found := v.virtual.Volumes.Get("", key.Name)
	if !found || !isMirror(volume) || volume.Spec.ClaimRef == nil {
		return 0, nil
	}
	reference := volume.Spec.ClaimRef
	if claim, found := v.virtual.Claims.Get(reference.Namespace, reference.Name); found && claim.UID == reference.UID {
		return 0, nil
	}
	client := v.virtual.Client.CoreV1().PersistentVolumes()
	if volume.Status.Phase == corev1.VolumeBound {
		// A bound volume is protected from deletion. The change brings it back.
		released := volume.DeepCopy()
		released.Status.Phase = corev1.VolumeReleased
		if _, err := client.UpdateStatus(ctx, released, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return 0, fmt.Errorf("release volume %s inside: %w", volume.Name, err)
		}
		return 0, nil
	}
	err := client.Delete(ctx, volume.Name, metav1.DeleteOptions{
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

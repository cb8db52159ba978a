// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// hostDriver is the driver in the volumes inside. Nothing inside attaches or
// mounts them: the host's kubelet does, by the claim on the host.
const hostDriver = "host.garret.dev"

// reasonReclaims is the reason of Events about a policy that the host does not follow.
const reasonReclaims = "HostReclaimPolicy"

// volumes are those inside of claims that the host has bound.
type volumes struct{ *builder }

// volumes adds their controller.
func (b *builder) volumes() *engine.Controller {
	v := volumes{b}
	controller := mirrored(b, &mirror[*corev1.PersistentVolume]{
		virtual: b.Virtual.Volumes, fate: byName(v.fate), apply: v.apply, status: v.status, retire: v.release, source: v.source,
	})
	b.watch(controller, b.Virtual.Claims.Informer(), volumeOf)
	b.watch(controller, b.Host.Claims.Informer(), volumeOf)
	return controller
}

// volumeOf names the volume that a claim is bound to.
func volumeOf(object any) []types.NamespacedName {
	claim := object.(*corev1.PersistentVolumeClaim)
	if claim.Spec.VolumeName == "" {
		return nil
	}
	return []types.NamespacedName{{Name: claim.Spec.VolumeName}}
}

// fate shows the volume of a bound claim, and keeps it as long as there is the claim
// inside: it may be lost on the host, and come back.
func (v volumes) fate(name string, volume *corev1.PersistentVolume, found bool) (fate, error) {
	if virtual, host, bound := v.claims(name); bound {
		if found && !isMirror(volume) {
			return fate{}, engine.Refuse(reasonUntranslatable, fmt.Sprintf("the name of volume %s is taken inside", name))
		}
		if policy := v.reclaims(virtual, host); found && policy == corev1.PersistentVolumeReclaimDelete && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain {
			v.notices.tell(volume, reasonReclaims, "spec.persistentVolumeReclaimPolicy is Delete, whatever is written here: the host deletes the data with the claim, as the storage class says. "+
				"To keep them, take a snapshot, or name a class with the policy Retain in the claim")
		}
		return fate{shown: true}, nil
	}
	if !found || !isMirror(volume) || volume.Spec.ClaimRef == nil {
		return fate{kept: true}, nil
	}
	reference := volume.Spec.ClaimRef
	claim, claimed := v.Virtual.Claims.Get(reference.Namespace, reference.Name)
	return fate{kept: claimed && claim.UID == reference.UID}, nil
}

// claims are the claim inside and the one on the host that is bound to the volume.
func (v volumes) claims(volume string) (virtual, host *corev1.PersistentVolumeClaim, bound bool) {
	for _, host := range v.Host.Claims.ByIndex(indexVolume, volume) {
		identity, ours := v.Translator.IdentityOf(host)
		if !ours || host.Status.Phase != corev1.ClaimBound {
			continue
		}
		virtual, found := v.Virtual.Claims.Get(identity.Namespace, identity.Name)
		if found && virtual.UID == identity.UID && virtual.DeletionTimestamp == nil && !boundToOwn(v.Translator, virtual, host) {
			return virtual, host, true
		}
	}
	return nil, nil, false
}

func (v volumes) apply(volume *corev1.PersistentVolume) {
	virtual, host, bound := v.claims(volume.Name)
	if !bound {
		return
	}
	policy := v.reclaims(virtual, host)
	if volume.UID != "" {
		volume.Spec.Capacity = host.Status.Capacity.DeepCopy()
		if policy == corev1.PersistentVolumeReclaimDelete {
			volume.Spec.PersistentVolumeReclaimPolicy = policy
		}
		return
	}
	class := virtual.Spec.StorageClassName
	if class == nil {
		class = host.Spec.StorageClassName
	}
	volume.Labels = map[string]string{tenancyv1.LabelCluster: v.Translator.Cluster().ID}
	volume.Spec = corev1.PersistentVolumeSpec{
		Capacity:                      host.Status.Capacity.DeepCopy(),
		AccessModes:                   virtual.Spec.AccessModes,
		VolumeMode:                    virtual.Spec.VolumeMode,
		StorageClassName:              ptr.Deref(class, ""),
		PersistentVolumeReclaimPolicy: policy,
		ClaimRef: &corev1.ObjectReference{
			APIVersion: "v1", Kind: "PersistentVolumeClaim",
			Namespace: virtual.Namespace, Name: virtual.Name, UID: virtual.UID,
		},
		PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: hostDriver, VolumeHandle: host.Name},
		},
	}
}

// reclaims is what becomes of the host's volume when its claim is deleted, as its class says. A volume
// is the host's, and what a tenant writes here changes nothing there. Retain is a promise: without a
// class that was there before the claim, nobody can give it.
func (v volumes) reclaims(virtual, host *corev1.PersistentVolumeClaim) corev1.PersistentVolumeReclaimPolicy {
	if v.ownClasses != nil {
		if class, found := v.ownClasses.virtual.Get("", classOf(virtual)); found && v.ownClasses.owned(class) {
			return reclaimedBy(class, virtual)
		}
	}
	if v.shownStorage != nil {
		if class, found := v.shownStorage.Get("", classOf(host)); found {
			return reclaimedBy(class, host)
		}
	}
	return corev1.PersistentVolumeReclaimDelete
}

// reclaimedBy is the policy of the class. Another class of the name may have been there before.
func reclaimedBy(class *storagev1.StorageClass, claim *corev1.PersistentVolumeClaim) corev1.PersistentVolumeReclaimPolicy {
	if claim.CreationTimestamp.Before(&class.CreationTimestamp) {
		return corev1.PersistentVolumeReclaimDelete
	}
	return ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
}

// source is the claim on the host that a volume is made for.
func (v volumes) source(volume *corev1.PersistentVolume) string { return volume.Spec.CSI.VolumeHandle }

func (v volumes) status(volume *corev1.PersistentVolume) { volume.Status.Phase = corev1.VolumeBound }

// release has a volume not be bound: a bound one is protected from deletion. The
// change brings it back.
func (v volumes) release(ctx context.Context, volume *corev1.PersistentVolume) (bool, error) {
	if volume.Status.Phase != corev1.VolumeBound {
		return true, nil
	}
	released := volume.DeepCopy()
	released.Status.Phase = corev1.VolumeReleased
	_, err := v.Virtual.Client.CoreV1().PersistentVolumes().UpdateStatus(ctx, released, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("release: %w", err)
	}
	return false, nil
}

// isMirror says whether the volume inside was made for a claim on the host.
func isMirror(volume *corev1.PersistentVolume) bool {
	return volume.Spec.CSI != nil && volume.Spec.CSI.Driver == hostDriver && volume.Labels[tenancyv1.LabelCluster] != ""
}

func claimsByVolume(object any) ([]string, error) {
	if claim, ok := object.(*corev1.PersistentVolumeClaim); ok && claim.Spec.VolumeName != "" {
		return []string{claim.Spec.VolumeName}, nil
	}
	return nil, nil
}

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

	"garret.dev/garret/syncer/isolation"
)

// volumePhases says of the tenant's volumes how they are, which a controller would do inside. It
// does so while one is being deleted, too: one in use is protected until its phase tells
// otherwise.
type volumePhases struct{ *ownVolumes }

// Reconcile brings the status of one volume up to date.
func (p volumePhases) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	volume, found := p.virtual.Get("", key.Name)
	if !found {
		return 0, nil
	}
	host, hosted := p.host.Get("", p.Translator.HostName("", key.Name))
	if hosted {
		identity, ours := p.Translator.IdentityOf(host)
		hosted = ours && identity.UID == volume.UID
	}
	changed := volume.DeepCopy()
	changed.Status.Phase = p.phase(volume, host, hosted)
	changed.Status.Message, changed.Status.Reason = "", ""
	if hosted && changed.Status.Phase == corev1.VolumeFailed {
		changed.Status.Message, changed.Status.Reason = host.Status.Message, host.Status.Reason
	}
	if changed.Status.Phase == volume.Status.Phase && changed.Status.Message == volume.Status.Message {
		return 0, nil
	}
	_, err := p.Virtual.Client.CoreV1().PersistentVolumes().UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("status of volume %s inside: %w", volume.Name, err)
	}
	return 0, nil
}

func (p volumePhases) phase(volume, host *corev1.PersistentVolume, hosted bool) corev1.PersistentVolumePhase {
	claim, bound := p.claim(volume)
	switch {
	case bound && claim.Status.Phase == corev1.ClaimLost:
		return corev1.VolumeReleased
	case bound && hosted && host.Status.Phase == corev1.VolumeBound:
		return corev1.VolumeBound
	case hosted && host.Status.Phase == corev1.VolumeFailed:
		return corev1.VolumeFailed
	case bound:
		// Its claim is on its way to the host.
		return volume.Status.Phase
	case volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.UID != "":
		if of, found := p.Virtual.Claims.Get(volume.Spec.ClaimRef.Namespace, volume.Spec.ClaimRef.Name); found && of.UID == volume.Spec.ClaimRef.UID {
			return volume.Status.Phase
		}
		return corev1.VolumeReleased
	}
	if _, violations := isolation.PersistentVolumeSpec(&volume.Spec, p.Exceptions); len(violations) > 0 {
		// No claim may have it.
		return corev1.VolumePending
	}
	return corev1.VolumeAvailable
}

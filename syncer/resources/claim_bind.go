// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

// bind has a claim inside get a volume of the tenant, where one matches, before it goes to the
// host. It is true when it changed something: the change leads to another pass.
func (c *claims) bind(ctx context.Context, claim *corev1.PersistentVolumeClaim) (bool, error) {
	if c.own == nil {
		return false, nil
	}
	found, err := c.match(claim)
	if found == nil || err != nil {
		return false, err
	}
	bound, changed, err := volume.GetBindVolumeToClaim(found, claim)
	if err != nil {
		return false, err
	}
	if changed {
		// As it was seen: another claim may have been faster.
		if _, err := c.virtual.Client.CoreV1().PersistentVolumes().Update(ctx, bound, metav1.UpdateOptions{}); err != nil {
			return false, again("bind volume "+found.Name+" inside", err)
		}
	}
	if claim.Spec.VolumeName != "" {
		return changed, nil
	}
	named := claim.DeepCopy()
	named.Spec.VolumeName = found.Name
	metav1.SetMetaDataAnnotation(&named.ObjectMeta, volume.AnnBoundByController, "yes")
	if named.Spec.StorageClassName == nil {
		named.Spec.StorageClassName = ptr.To(found.Spec.StorageClassName)
	}
	if _, err := c.virtual.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Update(ctx, named, metav1.UpdateOptions{}); err != nil {
		return false, again("bind inside", err)
	}
	return true, nil
}

// again asks for another pass where somebody else was faster.
func again(what string, err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return engine.Again(what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// match finds a volume of the tenant for the claim: the one that it names, one that names
// it, or the smallest that does.
func (c *claims) match(claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolume, error) {
	candidates := c.own.virtual.List()
	if name := claim.Spec.VolumeName; name != "" {
		named, own := c.own.virtual.Get("", name)
		if !own {
			return nil, nil
		}
		if named.Spec.ClaimRef != nil && !volume.IsVolumeBoundToClaim(named, claim) {
			return nil, engine.Refuse(reasonUntranslatable, fmt.Sprintf("spec.volumeName is %q, which is bound to another claim, %s/%s: name another volume, or delete that claim and then spec.claimRef of the volume",
				name, named.Spec.ClaimRef.Namespace, named.Spec.ClaimRef.Name))
		}
		candidates = []*corev1.PersistentVolume{named}
	}
	var allowed []*corev1.PersistentVolume
	for _, each := range candidates {
		_, violations := isolation.PersistentVolumeSpec(&each.Spec, c.own.Exceptions)
		switch {
		case each.DeletionTimestamp != nil:
		case len(violations) == 0:
			allowed = append(allowed, each)
		case claim.Spec.VolumeName != "":
			return nil, engine.Refuse(reasonForbidden, fmt.Sprintf("spec.volumeName is %q, which cannot go to the host cluster: %v", each.Name, violations.Err()))
		}
	}
	if claim.Spec.VolumeName != "" && len(allowed) == 1 && allowed[0].Spec.ClaimRef != nil {
		return allowed[0], nil
	}
	asked := claim.DeepCopy()
	// It is the host's; the tenant's volumes have none.
	asked.Spec.VolumeAttributesClassName = nil
	found, err := volume.FindMatchingVolume(asked, allowed, nil, nil, false, true)
	if err != nil {
		return nil, fmt.Errorf("match volumes inside: %w", err)
	}
	if found == nil && claim.Spec.VolumeName != "" {
		return nil, engine.Refuse(reasonUntranslatable, fmt.Sprintf("spec.volumeName is %q, which does not have what the claim asks for: compare spec.resources, accessModes, volumeMode, storageClassName and selector with the volume, which has to be Available",
			claim.Spec.VolumeName))
	}
	return found, nil
}

// ofTenant is the volume of the tenant that the claim is bound to.
func (c *claims) ofTenant(claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolume, bool) {
	if c.own == nil || claim.Spec.VolumeName == "" {
		return nil, false
	}
	found, own := c.own.virtual.Get("", claim.Spec.VolumeName)
	return found, own && volume.IsVolumeBoundToClaim(found, claim)
}

// createBound fills in a claim of the host that gets a volume of the tenant: the volume by its
// name, and none of the host's classes.
func (c *claims) createBound(virtual, host *corev1.PersistentVolumeClaim, of *corev1.PersistentVolume) error {
	asked := virtual.Spec.DeepCopy()
	// It has chosen the volume inside.
	asked.Selector, asked.VolumeAttributesClassName, asked.DataSource, asked.DataSourceRef = nil, nil, nil, nil
	spec, violations := isolation.ClaimSpec(asked, c.exceptions)
	if err := forbidden(violations); err != nil {
		return err
	}
	host.Spec = *spec
	host.Spec.StorageClassName, host.Spec.VolumeName = ptr.To(""), c.translator.HostName("", of.Name)
	return nil
}

// boundToOwn tells whether the two claims are bound to a volume of the tenant and its twin.
func boundToOwn(translator *translate.Translator, virtual, host *corev1.PersistentVolumeClaim) bool {
	return virtual.Spec.VolumeName != "" && host.Spec.VolumeName == translator.HostName("", virtual.Spec.VolumeName)
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

// notShown selects objects inside that do not stand for one of the host.
const notShown = "!" + tenancyv1.LabelCluster

// ownVolumes are the PersistentVolumes of the tenant. Nobody binds them inside but the syncer.
//
// One reaches the host only when a claim inside is bound to it, and the claim's twin there names
// it already. So a volume on the host always has a claimRef with the UID of that claim, and no
// other claim of the host can ever bind it.
type ownVolumes struct {
	*builder
	virtual, host *engine.Store[*corev1.PersistentVolume]
}

// volumesOfTenant are the tenant's, with stores that claims and the kind itself share.
func (b *builder) volumesOfTenant() *ownVolumes {
	if b.ownVolumes != nil {
		return b.ownVolumes
	}
	at := core(tenancyv1.ResourceVolumes)
	b.ownVolumes = &ownVolumes{b,
		engine.NewStore(b.Virtual.Informers, at, engine.Cluster(b.Virtual.Client.CoreV1().PersistentVolumes), engine.StoreOptions{LabelSelector: notShown}),
		engine.NewStore(b.Host.Informers, at, engine.Cluster(b.Host.Client.CoreV1().PersistentVolumes), markedAnywhere(b.Translator.Cluster())),
	}
	return b.ownVolumes
}

// markedAnywhere narrows a store of the host, of a kind of cluster scope, to what was synced for the cluster.
func markedAnywhere(cluster translate.Cluster) engine.StoreOptions {
	return engine.StoreOptions{LabelSelector: tenancyv1.LabelCluster + "=" + cluster.ID}
}

// tenantVolumes adds the controllers of the tenant's volumes.
func (b *builder) tenantVolumes() {
	o := b.volumesOfTenant()
	declare(b, o.virtual, o.host, declared[*corev1.PersistentVolume]{
		apply: o.apply, missing: o.missing, adopt: o.adopt, keepsData: true,
		follows: []follow{{b.Virtual.Claims.Informer(), o.ofClaim}, {b.Host.Claims.Informer(), o.ofHostClaim}},
	})
	phases := b.controller("volumephases", 1, volumePhases{o})
	b.watch(phases, o.virtual.Informer(), engine.SameKey)
	b.watch(phases, b.Virtual.Claims.Informer(), o.ofClaim)
	b.watch(phases, o.host.Informer(), o.ofHost)
}

// volumesReleased lets volumes go that are not synced.
func (b *builder) volumesReleased() {
	store := engine.NewStore(b.Virtual.Informers, core(tenancyv1.ResourceVolumes), engine.Cluster(b.Virtual.Client.CoreV1().PersistentVolumes), engine.StoreOptions{LabelSelector: notShown})
	b.engine.AddTask(func(ctx context.Context) { engine.Release(ctx, store) })
}

// apply translates the volume. What one is made of cannot be changed, on either side. The
// administrator's taking an allowance back leaves a bound volume as it is.
func (o *ownVolumes) apply(virtual, host *corev1.PersistentVolume) error {
	spec, violations := isolation.PersistentVolumeSpec(&virtual.Spec, o.Exceptions)
	if err := forbidden(violations); err != nil {
		return err
	}
	claim, bound := o.hostClaim(virtual)
	switch {
	case host.UID == "" && !bound:
		return engine.Again("no claim inside is bound to it yet")
	case host.UID == "":
		host.Spec = *spec
	default:
		host.Spec.Capacity, host.Spec.AccessModes, host.Spec.MountOptions = spec.Capacity, spec.AccessModes, spec.MountOptions
	}
	// For whoever adopts the volume: the host's has no class.
	host.Annotations[tenancyv1.AnnotationStorageClass] = virtual.Spec.StorageClassName
	if reference := host.Spec.ClaimRef; bound && (reference == nil || reference.UID != claim.UID || reference.Name != claim.Name) {
		host.Spec.ClaimRef = &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
	}
	return nil
}

// claim is the one inside that the volume is bound to.
func (o *ownVolumes) claim(virtual *corev1.PersistentVolume) (*corev1.PersistentVolumeClaim, bool) {
	reference := virtual.Spec.ClaimRef
	if reference == nil {
		return nil, false
	}
	claim, found := o.Virtual.Claims.Get(reference.Namespace, reference.Name)
	return claim, found && claim.Spec.VolumeName == virtual.Name && (reference.UID == "" || reference.UID == claim.UID)
}

// hostClaim is the claim on the host that waits for the volume, or has it.
func (o *ownVolumes) hostClaim(virtual *corev1.PersistentVolume) (*corev1.PersistentVolumeClaim, bool) {
	claim, bound := o.claim(virtual)
	if !bound {
		return nil, false
	}
	host, found := o.Host.Claims.Get(o.Translator.Cluster().HostNamespace, o.Translator.HostName(claim.Namespace, claim.Name))
	if !found || host.DeletionTimestamp != nil || host.Spec.VolumeName != o.Translator.HostName("", virtual.Name) {
		return nil, false
	}
	identity, ours := o.Translator.IdentityOf(host)
	return host, ours && identity.UID == claim.UID
}

// missing keeps a volume from the host that no claim there waits for.
func (o *ownVolumes) missing(_ context.Context, virtual *corev1.PersistentVolume) (bool, error) {
	if _, violations := isolation.PersistentVolumeSpec(&virtual.Spec, o.Exceptions); len(violations) > 0 {
		return true, forbidden(violations)
	}
	_, bound := o.hostClaim(virtual)
	return !bound, nil
}

// adopt creates the volume inside again, or finds the same one.
func (o *ownVolumes) adopt(ctx context.Context, host *corev1.PersistentVolume) (types.UID, error) {
	identity, _ := o.Translator.IdentityOf(host)
	client := o.Virtual.Client.CoreV1().PersistentVolumes()
	wanted := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: identity.Name, Labels: translate.TenantLabels(host.Labels), Finalizers: []string{tenancyv1.FinalizerData}},
		Spec:       *host.Spec.DeepCopy(),
	}
	wanted.Spec.ClaimRef, wanted.Spec.StorageClassName = nil, host.Annotations[tenancyv1.AnnotationStorageClass]
	if reference := host.Spec.ClaimRef; reference != nil {
		if claim, found := o.Host.Claims.Get(reference.Namespace, reference.Name); found && claim.UID == reference.UID {
			// No other claim inside may get the data of this one.
			of, _ := o.Translator.IdentityOf(claim)
			wanted.Spec.ClaimRef = &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: of.Namespace, Name: of.Name}
		}
	}
	created, err := client.Create(ctx, wanted, metav1.CreateOptions{})
	if err == nil {
		return created.UID, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create inside: %w", err)
	}
	found, err := client.Get(ctx, identity.Name, metav1.GetOptions{})
	switch {
	case err != nil:
		return "", fmt.Errorf("read inside: %w", err)
	case found.DeletionTimestamp != nil:
		return "", errors.New("a volume of that name is being deleted inside: wait until it is gone, and decide again")
	case !equality.Semantic.DeepEqual(found.Spec.PersistentVolumeSource, host.Spec.PersistentVolumeSource):
		return "", fmt.Errorf("a volume of that name inside has other data: delete it inside, or the one on the host, %s", host.Name)
	}
	if !slices.Contains(found.Finalizers, tenancyv1.FinalizerData) {
		found.Finalizers = append(found.Finalizers, tenancyv1.FinalizerData)
		if found, err = client.Update(ctx, found, metav1.UpdateOptions{}); err != nil {
			return "", fmt.Errorf("finalizer inside: %w", err)
		}
	}
	return found.UID, nil
}

// ofClaim names the volume of a claim inside.
func (o *ownVolumes) ofClaim(claim any) []types.NamespacedName { return volumeOf(claim) }

// ofHostClaim names the volume of the claim inside that a claim on the host is the twin of.
func (o *ownVolumes) ofHostClaim(object any) []types.NamespacedName {
	identity, ours := o.Translator.IdentityOf(object.(*corev1.PersistentVolumeClaim))
	if !ours {
		return nil
	}
	claim, found := o.Virtual.Claims.Get(identity.Namespace, identity.Name)
	if !found {
		return nil
	}
	return volumeOf(claim)
}

// ofHost names the volume inside that one on the host is the twin of.
func (o *ownVolumes) ofHost(object any) []types.NamespacedName {
	identity, ours := o.Translator.IdentityOf(object.(*corev1.PersistentVolume))
	if !ours {
		return nil
	}
	return []types.NamespacedName{identity.NamespacedName}
}

// claimsFor are the claims inside that may be waiting for a volume like this one.
func (o *ownVolumes) claimsFor(object any) []types.NamespacedName {
	volume := object.(*corev1.PersistentVolume)
	keys := unboundClaims(o.Virtual.Claims, func(claim *corev1.PersistentVolumeClaim) bool { return classOf(claim) == volume.Spec.StorageClassName })
	if reference := volume.Spec.ClaimRef; reference != nil {
		keys = append(keys, types.NamespacedName{Namespace: reference.Namespace, Name: reference.Name})
	}
	for _, claim := range o.Virtual.Claims.List() {
		if claim.Spec.VolumeName == volume.Name {
			keys = append(keys, engine.KeyOf(claim))
		}
	}
	return keys
}

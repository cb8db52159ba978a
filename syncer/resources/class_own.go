// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
)

// ownClasses are the storage classes of the tenant. They go to the host as far as its
// administrator allows, under translated names.
type ownClasses struct {
	*builder
	virtual, host *engine.Store[*storagev1.StorageClass]
}

// classesOfTenant are the tenant's, with stores that claims and the kind itself share.
func (b *builder) classesOfTenant() *ownClasses {
	if b.ownClasses != nil {
		return b.ownClasses
	}
	at := storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceStorageClasses)
	b.ownClasses = &ownClasses{b,
		engine.NewStore(b.Virtual.Informers, at, engine.Cluster(b.Virtual.Client.StorageV1().StorageClasses), engine.StoreOptions{}),
		engine.NewStore(b.Host.Informers, at, engine.Cluster(b.Host.Client.StorageV1().StorageClasses), markedAnywhere(b.Translator.Cluster())),
	}
	return b.ownClasses
}

// tenantClasses adds the controller of the tenant's classes.
func (b *builder) tenantClasses() {
	o := b.classesOfTenant()
	declare(b, o.virtual, o.host, declared[*storagev1.StorageClass]{
		wanted: o.owned, unwanted: unwantedMapped, apply: o.apply,
		// What the administrator allows no longer must not provision any more.
		outdated: func(virtual, _ *storagev1.StorageClass) bool { return o.judge(virtual) != nil },
	})
}

// owned says whether the class is the tenant's, and not shown of the host.
func (o *ownClasses) owned(virtual *storagev1.StorageClass) bool {
	return !isShown(virtual, tenancyv1.LabelCluster, o.Translator.Cluster().ID)
}

// judge says why the class stays inside, or nothing.
func (o *ownClasses) judge(virtual *storagev1.StorageClass) error {
	_, violations := isolation.StorageClass(virtual, o.Exceptions)
	return forbidden(violations)
}

// apply translates the class. Most of one cannot be changed: another one of the name has another
// UID, and the engine replaces the host's.
func (o *ownClasses) apply(virtual, host *storagev1.StorageClass) error {
	allowed, violations := isolation.StorageClass(virtual, o.Exceptions)
	if err := forbidden(violations); err != nil {
		return err
	}
	if host.UID == "" {
		host.Provisioner, host.Parameters, host.ReclaimPolicy, host.VolumeBindingMode = allowed.Provisioner, allowed.Parameters, allowed.ReclaimPolicy, allowed.VolumeBindingMode
	}
	host.MountOptions, host.AllowVolumeExpansion, host.AllowedTopologies = allowed.MountOptions, allowed.AllowVolumeExpansion, allowed.AllowedTopologies
	return nil
}

// nameOf is the name on the host of the class that a claim inside names.
func (o *ownClasses) nameOf(name string) (string, error) {
	if class, found := o.virtual.Get("", name); found && o.owned(class) {
		if err := o.judge(class); err != nil {
			return "", engine.Refuse(reasonForbidden, fmt.Sprintf("spec.storageClassName is %q, which is not on the host cluster: %v", name, err))
		}
		return o.Translator.HostName("", name), nil
	}
	if o.shownStorage != nil {
		if _, shown := o.shownStorage.Get("", name); !shown {
			return "", engine.Refuse(reasonUntranslatable, fmt.Sprintf("spec.storageClassName is %q, and there is no such class inside: create it, or name one that exists", name))
		}
	}
	return name, nil
}

// claimsOf are the claims without a volume that name the class.
func (o *ownClasses) claimsOf(class any) []types.NamespacedName {
	name := class.(*storagev1.StorageClass).Name
	return unboundClaims(o.Virtual.Claims, func(claim *corev1.PersistentVolumeClaim) bool { return classOf(claim) == name })
}

// unboundClaims are those without a volume that match.
func unboundClaims(claims *engine.Store[*corev1.PersistentVolumeClaim], matches func(*corev1.PersistentVolumeClaim) bool) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, claim := range claims.List() {
		if claim.Spec.VolumeName == "" && matches(claim) {
			keys = append(keys, engine.KeyOf(claim))
		}
	}
	return keys
}

// classOf is the class that a claim names; empty for none.
func classOf(claim *corev1.PersistentVolumeClaim) string {
	if name, found := claim.Annotations[annotationStorageClass]; found {
		return name
	}
	if claim.Spec.StorageClassName == nil {
		return ""
	}
	return *claim.Spec.StorageClassName
}

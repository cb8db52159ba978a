// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// PersistentVolumeSpec returns what of the spec of a tenant's volume may travel, and what keeps
// the volume from the host. What no table refuses, the administrator has to allow.
func PersistentVolumeSpec(spec *corev1.PersistentVolumeSpec, exceptions Exceptions) (*corev1.PersistentVolumeSpec, Violations) {
	carried, violations := carry(spec, field.NewPath("spec"), exceptions)
	if len(violations) == 0 {
		violations = notAllowed(exceptions.Storage.JudgeVolume(carried))
	}
	return carried, violations
}

// StorageClass returns what of a tenant's class may travel, without its metadata, and what keeps
// it from the host.
func StorageClass(class *storagev1.StorageClass, exceptions Exceptions) (*storagev1.StorageClass, Violations) {
	carried, violations := carry(class, nil, exceptions)
	if len(violations) == 0 {
		violations = notAllowed(exceptions.Storage.JudgeClass(carried))
	}
	return carried, violations
}

// SnapshotContent says what keeps a tenant's content of a snapshot from the host. The syncer writes
// the host's field by field, so it takes no table.
func SnapshotContent(spec *tenancyv1.SnapshotContentSpec, exceptions Exceptions) Violations {
	return notAllowed(exceptions.Storage.JudgeSnapshotContent(spec))
}

func notAllowed(refusals []tenancyv1.StorageRefusal) Violations {
	var violations Violations
	for _, each := range refusals {
		violations = append(violations, Violation{Field: field.NewPath(each.Path), Value: each.Value, Rule: each.Why, Remedy: each.Remedy})
	}
	return violations
}

// retained decides the field that says what becomes of the data with the claim.
func retained() rule {
	return refused("the host would delete data that Garret did not create", "set it to Retain", "persistentVolumeReclaimPolicy").unless(func(policy any, _ Exceptions) bool {
		return policy.(corev1.PersistentVolumeReclaimPolicy) == corev1.PersistentVolumeReclaimRetain
	})
}

func storageTable() []typeRules {
	const allowed, noSetting = "passed as spec.isolation.allowedStorage of the HostCluster allows, refused otherwise", "no setting lifts it; leave it out"
	return []typeRules{
		of[corev1.PersistentVolumeSpec](
			passed("accessModes", "capacity", "volumeMode"),
			translated(allowed, "mountOptions"),
			leftOut("the syncer writes the host's claim of the claim inside", "claimRef"),
			leftOut("the host's volume has none, so that it binds by name alone", "storageClassName"),
			retained(),
			refused("it names nodes of the host", noSetting, "nodeAffinity"),
			refused("it names a class of the host", noSetting, "volumeAttributesClassName"),
		),
		of[corev1.PersistentVolumeSource](
			translated(allowed, "csi", "nfs"),
			refused("it reaches data of nodes or of anybody", "no setting lifts it; use csi or nfs", "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc",
				"flexVolume", "flocker", "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
		),
		of[corev1.CSIPersistentVolumeSource](
			passed("fsType", "readOnly"),
			translated(allowed, "driver", "volumeHandle", "volumeAttributes"),
			refused("it names a Secret, which may be of any namespace of the host", noSetting, "controllerExpandSecretRef", "controllerPublishSecretRef", "nodeExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef"),
		),
		of[corev1.NFSVolumeSource](passed("readOnly"), translated(allowed, "path", "server")),
		of[storagev1.StorageClass](
			passed("allowVolumeExpansion", "reclaimPolicy", "volumeBindingMode"),
			passed("allowedTopologies").because("it only narrows where the provisioner may provision"),
			translated(allowed, "mountOptions", "parameters", "provisioner"),
			leftOut("the syncer writes its own", "metadata"),
		),
		of[corev1.TopologySelectorTerm](passed("matchLabelExpressions")),
		of[corev1.TopologySelectorLabelRequirement](passed("key", "values")),
		of[metav1.TypeMeta](leftOut("the kind is known", "apiVersion", "kind")),
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ClaimSpec returns the part of a volume claim's spec that the host gets, and what keeps the
// claim from the host.
func ClaimSpec(spec *corev1.PersistentVolumeClaimSpec, exceptions Exceptions) (*corev1.PersistentVolumeClaimSpec, Violations) {
	return carry(spec, field.NewPath("spec"), exceptions)
}

// shownAttributes decides the field that names a class of attributes. Its parameters act on the storage
// of the host.
func shownAttributes() rule {
	return refused("it is no class of volume attributes of the host that is shown inside",
		"who may change the VirtualCluster can have spec.syncer.fromHost.volumeAttributesClasses.selector match it", "volumeAttributesClassName").
		unless(func(named any, exceptions Exceptions) bool {
			name, _ := named.(*string)
			return name == nil || *name == "" || exceptions.AttributesClass != nil && exceptions.AttributesClass(*name)
		})
}

func claimTable() []typeRules {
	return []typeRules{
		of[corev1.PersistentVolumeClaimSpec](
			passed("accessModes", "resources", "volumeMode"),
			shownAttributes(),
			translated("the host's class, of the tenant's own where that goes to the host; others are passed, the empty class only with a volumeName, since it would bind any volume of the host that nobody has claimed yet", "storageClassName"),
			translated("passed where the host provisioned the volume for a claim of this virtual cluster; the host's volume, of the tenant's own where that goes to the host; refused otherwise", "volumeName"),
			translated("the host's claim or volume snapshot, of the one inside; any other source is refused", "dataSourceRef"),
			leftOut("dataSourceRef says the same", "dataSource"),
			refused("it selects among all volumes of the host, whoever owns them", "no setting lifts it; set a storageClassName, and the host provisions a volume", "selector"),
		),
		of[corev1.VolumeResourceRequirements](passed("limits", "requests")),
		of[corev1.TypedObjectReference](translated("the host's claim or volume snapshot, of the one inside", "apiGroup", "kind", "name", "namespace")),
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// Fields of a VirtualCluster, besides its name and namespace, that a field selector may name.
const (
	FieldStatusPhase           = "status.phase"
	FieldSpecKubernetesVersion = "spec.kubernetes.version"
	FieldSpecHostClusterRef    = "spec.hostClusterRef.name"
	FieldSpecTemplateRef       = "spec.templateRef.name"
)

// A reference stands for the name in it.
const (
	fieldSpecHostCluster = "spec.hostClusterRef"
	fieldSpecTemplate    = "spec.templateRef"
)

func addFieldLabelConversions(scheme *runtime.Scheme) error {
	return scheme.AddFieldLabelConversionFunc(SchemeGroupVersion.WithKind("VirtualCluster"),
		func(label, value string) (string, string, error) {
			switch label {
			case "metadata.name", "metadata.namespace", FieldStatusPhase, FieldSpecKubernetesVersion,
				FieldSpecHostClusterRef, FieldSpecTemplateRef:
				return label, value, nil
			case fieldSpecHostCluster:
				return FieldSpecHostClusterRef, value, nil
			case fieldSpecTemplate:
				return FieldSpecTemplateRef, value, nil
			default:
				return "", "", fmt.Errorf("field selector: %q is not selectable, use metadata.name, metadata.namespace, %s, %s, %s or %s",
					label, FieldStatusPhase, FieldSpecKubernetesVersion, FieldSpecHostClusterRef, FieldSpecTemplateRef)
			}
		})
}

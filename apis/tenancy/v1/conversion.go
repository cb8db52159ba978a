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
)

func addFieldLabelConversions(scheme *runtime.Scheme) error {
	return scheme.AddFieldLabelConversionFunc(SchemeGroupVersion.WithKind("VirtualCluster"),
		func(label, value string) (string, string, error) {
			switch label {
			case "metadata.name", "metadata.namespace", FieldStatusPhase, FieldSpecKubernetesVersion:
				return label, value, nil
			default:
				return "", "", fmt.Errorf("field selector: %q is not selectable, use metadata.name, metadata.namespace, %s or %s",
					label, FieldStatusPhase, FieldSpecKubernetesVersion)
			}
		})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxValuesBytes bounds the advanced values: a Helm release is kept in a Secret, which holds 1 MiB.
const maxValuesBytes = 64 * 1024

func (v *Validator) helmValues(raw *runtime.RawExtension, path *field.Path) field.ErrorList {
	if raw == nil || len(raw.Raw) == 0 {
		return nil
	}
	if len(raw.Raw) > maxValuesBytes {
		return field.ErrorList{field.TooLong(path, "", maxValuesBytes)}
	}
	var values map[string]any
	if err := json.Unmarshal(raw.Raw, &values); err != nil || values == nil {
		return field.ErrorList{field.Invalid(path, string(raw.Raw), "must be an object, as in a values file of Helm")}
	}
	if v.Values == nil {
		return nil
	}
	return v.Values(values, path)
}

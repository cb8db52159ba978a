// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// computeResources are those that a control plane can use.
var computeResources = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

func resources(requirements *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	errs := quantities(requirements.Limits, path.Child("limits"))
	errs = append(errs, quantities(requirements.Requests, path.Child("requests"))...)
	for _, name := range slices.Sorted(maps.Keys(requirements.Requests)) {
		request := requirements.Requests[name]
		limit, limited := requirements.Limits[name]
		if limited && request.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), request.String(),
				fmt.Sprintf("must be no more than the limit of %s", limit.String())))
		}
	}
	if len(requirements.Claims) > 0 {
		errs = append(errs, field.Forbidden(path.Child("claims"), "a control plane uses no devices: leave this out"))
	}
	return errs
}

func quantities(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity := list[name]
		at := path.Key(string(name))
		if !slices.Contains(computeResources, name) {
			errs = append(errs, field.NotSupported(at, name, computeResources))
		}
		if quantity.Sign() <= 0 {
			errs = append(errs, field.Invalid(at, quantity.String(), "must be more than zero; leave it out for none"))
		}
	}
	return errs
}

func storage(spec *tenancy.StorageSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.Size != nil && spec.Size.Sign() <= 0 {
		errs = append(errs, field.Invalid(path.Child("size"), spec.Size.String(), "must be more than zero, such as 5Gi"))
	}
	if name := spec.StorageClassName; name != nil && *name != "" {
		for _, problem := range utilvalidation.IsDNS1123Subdomain(*name) {
			errs = append(errs, field.Invalid(path.Child("storageClassName"), *name, problem))
		}
	}
	return errs
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// HostClusterCreate judges a new HostCluster.
func HostClusterCreate(host *tenancy.HostCluster) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&host.ObjectMeta, false, hostClusterName, field.NewPath("metadata"))
	return append(errs, hostClusterSpec(&host.Spec, field.NewPath("spec"))...)
}

// HostClusterUpdate judges a change of metadata or spec.
func HostClusterUpdate(host, old *tenancy.HostCluster) field.ErrorList {
	errs := apivalidation.ValidateObjectMetaUpdate(&host.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	return append(errs, hostClusterSpec(&host.Spec, field.NewPath("spec"))...)
}

// HostClusterStatusUpdate judges a change of the status.
func HostClusterStatusUpdate(host, old *tenancy.HostCluster) field.ErrorList {
	errs := apivalidation.ValidateObjectMetaUpdate(&host.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	return append(errs, metav1validation.ValidateConditions(host.Status.Conditions, field.NewPath("status", "conditions"))...)
}

// hostClusterName allows the one that there is.
func hostClusterName(name string, _ bool) []string {
	if name == v1.LocalHostCluster {
		return nil
	}
	return []string{fmt.Sprintf("other host clusters cannot be connected yet: the only one is %s, which exists by itself", v1.LocalHostCluster)}
}

func hostClusterSpec(spec *tenancy.HostClusterSpec, path *field.Path) field.ErrorList {
	errs := hostIsolation(&spec.Isolation, path.Child("isolation"))
	errs = append(errs, hostSleep(&spec.Sleep, path.Child("sleep"))...)
	if ref := spec.DefaultTemplateRef; ref != nil {
		errs = append(errs, templateVersion(ref.Version, path.Child("defaultTemplateRef", "version"))...)
	}
	return errs
}

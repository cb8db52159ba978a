// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilversion "k8s.io/apimachinery/pkg/util/version"

	"garret.dev/garret/apis/tenancy"
)

// TemplateCreate judges the metadata and the versions' names of a new
// VirtualClusterTemplate; package template judges what they hold.
func TemplateCreate(template *tenancy.VirtualClusterTemplate) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&template.ObjectMeta, false, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	return append(errs, templateVersions(template.Spec.Versions, field.NewPath("spec", "versions"))...)
}

// TemplateUpdate judges a change of the same.
func TemplateUpdate(template, old *tenancy.VirtualClusterTemplate) field.ErrorList {
	errs := apivalidation.ValidateObjectMetaUpdate(&template.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	return append(errs, templateVersions(template.Spec.Versions, field.NewPath("spec", "versions"))...)
}

func templateVersions(versions []tenancy.TemplateVersion, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, version := range versions {
		errs = append(errs, templateVersion(version.Version, path.Index(i).Child("version"))...)
	}
	return errs
}

// templateVersion allows a semantic version in the one spelling that has no v
// before it and no build metadata behind, by which versions could not be ordered.
// Where there must be one is declared in the types.
func templateVersion(version string, path *field.Path) field.ErrorList {
	if version == "" {
		return nil
	}
	_, err := utilversion.ParseSemantic(version)
	if err != nil || strings.HasPrefix(version, "v") || strings.TrimSpace(version) != version {
		return field.ErrorList{field.Invalid(path, version, "must be a semantic version without a leading v, such as 1.0.0 or 1.1.0-beta.1")}
	}
	if strings.Contains(version, "+") {
		return field.ErrorList{field.Invalid(path, version, fmt.Sprintf("must have no build metadata: use %s",
			version[:strings.Index(version, "+")]))}
	}
	return nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/validation/path"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// maxSubject bounds the name of a user or group, in characters.
const maxSubject = 512

// templateReference judges the form of a reference; that there is such a
// template is found out where it is applied.
func templateReference(ref *tenancy.TemplateReference, at *field.Path) field.ErrorList {
	if ref == nil {
		return nil
	}
	if ref.Name == "" {
		if ref.Version != "" || len(ref.Parameters) > 0 || ref.Sync {
			return field.ErrorList{field.Required(at.Child("name"), "a version, parameters or sync are those of a template: name it")}
		}
		return nil
	}
	var errs field.ErrorList
	for _, problem := range utilvalidation.IsDNS1123Subdomain(ref.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), ref.Name, problem))
	}
	if ref.Version != "" {
		errs = append(errs, templateVersion(ref.Version, at.Child("version"))...)
	}
	return errs
}

func hostClusterReference(ref tenancy.HostClusterReference, at *field.Path) field.ErrorList {
	if ref.Name == v1.LocalHostCluster {
		return nil
	}
	return field.ErrorList{field.NotSupported(at.Child("name"), ref.Name, []string{v1.LocalHostCluster})}
}

// access judges the form of the rules. Which users, groups and roles there are
// is known to the host and to the virtual cluster alone.
func access(rules []tenancy.AccessRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, rule := range rules {
		here := at.Index(i)
		if len(rule.Users)+len(rule.Groups) == 0 {
			errs = append(errs, field.Required(here, "name users, groups or both"))
		}
		errs = append(errs, subjects(rule.Users, here.Child("users"))...)
		errs = append(errs, subjects(rule.Groups, here.Child("groups"))...)
		errs = append(errs, clusterRole(rule.ClusterRole, here.Child("clusterRole"))...)
	}
	return errs
}

func subjects(names []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, name := range names {
		switch {
		case name == "":
			errs = append(errs, field.Required(at.Index(i), "an empty name stands for nobody: leave it out"))
		case len(name) > maxSubject:
			errs = append(errs, field.TooLong(at.Index(i), "", maxSubject))
		case seen[name]:
			errs = append(errs, field.Duplicate(at.Index(i), name))
		}
		seen[name] = true
	}
	return errs
}

func clusterRole(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "name a ClusterRole inside, such as view")}
	}
	var errs field.ErrorList
	for _, problem := range path.IsValidPathSegmentName(name) {
		errs = append(errs, field.Invalid(at, name, fmt.Sprintf("is not the name of a ClusterRole: %s", problem)))
	}
	return errs
}

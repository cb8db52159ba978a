// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilversion "k8s.io/apimachinery/pkg/util/version"

	"garret.dev/garret/apis/tenancy"
)

// Resolve chooses the version that ref asks for and fills in the parameters.
// path is that of ref.
func Resolve(template *tenancy.VirtualClusterTemplate, ref *tenancy.TemplateReference, path *field.Path) (*tenancy.TemplateStatus, field.ErrorList) {
	version, problem := choose(template, ref.Version, path.Child("version"))
	if problem != nil {
		return nil, field.ErrorList{problem}
	}
	arguments, errs := bind(version.Parameters, ref.Parameters, template.Name, path.Child("parameters"))
	if len(errs) > 0 {
		return nil, errs
	}
	resolved := &tenancy.TemplateStatus{Name: template.Name, Version: version.Version, UID: template.UID, Generation: template.Generation}
	for _, parameter := range version.Parameters {
		resolved.Parameters = append(resolved.Parameters,
			tenancy.TemplateParameterValue{Name: parameter.Name, Value: arguments[parameter.Name].text})
	}
	for _, part := range []struct {
		from *runtime.RawExtension
		to   **runtime.RawExtension
		name string
	}{{version.Defaults, &resolved.Defaults, "defaults"}, {version.Forced, &resolved.Forced, "forced"}} {
		filled, problems := fillIn(part.from, arguments, field.NewPath(part.name))
		for _, problem := range problems {
			errs = append(errs, field.Invalid(path, template.Name, fmt.Sprintf(
				"version %s of the template cannot be applied with these parameters: %v", version.Version, problem)))
		}
		recorded, err := record(filled)
		if err != nil {
			errs = append(errs, field.InternalError(path, err))
		}
		*part.to = recorded
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return resolved, nil
}

// RefusesAll says, as warnings about the field at path, why no virtual cluster
// can be made from a template that it gets by ref, without having named it.
func RefusesAll(template *tenancy.VirtualClusterTemplate, ref *tenancy.TemplateReference, path *field.Path) []string {
	_, errs := Resolve(template, ref, field.NewPath("spec", "templateRef"))
	var warnings []string
	for _, err := range errs {
		warnings = append(warnings, fmt.Sprintf("%s: virtual clusters that name no template will be refused: %s", path, err.ErrorBody()))
	}
	return warnings
}

// fillIn makes of what a template holds a fragment with the arguments in it.
func fillIn(raw *runtime.RawExtension, arguments map[string]argument, path *field.Path) (fragment, field.ErrorList) {
	parsed, errs := parseFragment(raw, path)
	if len(errs) > 0 || len(parsed) == 0 {
		return nil, errs
	}
	filled, errs := substitute(parsed, arguments, path)
	if len(errs) > 0 {
		return nil, errs
	}
	return conform(filled.(fragment), path)
}

// choose returns the named version, or the highest that is no pre-release.
func choose(template *tenancy.VirtualClusterTemplate, name string, path *field.Path) (*tenancy.TemplateVersion, *field.Error) {
	var names []string
	var highest *utilversion.Version
	var chosen *tenancy.TemplateVersion
	for i := range template.Spec.Versions {
		version := &template.Spec.Versions[i]
		names = append(names, version.Version)
		if name != "" {
			if version.Version == name {
				return version, nil
			}
			continue
		}
		parsed, err := utilversion.ParseSemantic(version.Version)
		if err != nil || parsed.PreRelease() != "" {
			continue
		}
		if highest == nil || highest.LessThan(parsed) {
			highest, chosen = parsed, version
		}
	}
	if chosen != nil {
		return chosen, nil
	}
	if name == "" {
		return nil, field.Required(path, fmt.Sprintf("template %q has pre-releases only: name one of %s", template.Name, strings.Join(names, ", ")))
	}
	return nil, field.Invalid(path, name, fmt.Sprintf("template %q has no such version, but %s", template.Name, strings.Join(names, ", ")))
}

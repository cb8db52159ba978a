// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// maxFragment bounds defaults and forced part, in bytes: both are recorded in
// the status of every virtual cluster.
const maxFragment = 64 * 1024

// types are those of parameters; the empty one is a string.
var types = []tenancy.TemplateParameterType{
	"", tenancy.ParameterString, tenancy.ParameterInteger, tenancy.ParameterBoolean, tenancy.ParameterQuantity,
}

// Validate judges what the versions of a template hold, beyond what the types
// declare: which fields must be there, how long they are, which are unique.
func Validate(versions []tenancy.TemplateVersion, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range versions {
		errs = append(errs, validateVersion(&versions[i], path.Index(i))...)
	}
	return errs
}

func validateVersion(version *tenancy.TemplateVersion, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	arguments := make(map[string]argument, len(version.Parameters))
	for i := range version.Parameters {
		parameter := &version.Parameters[i]
		at := path.Child("parameters").Index(i)
		errs = append(errs, validateParameter(parameter, at)...)
		arguments[parameter.Name] = newArgument(parameter.Type, sample(parameter))
	}
	if len(errs) > 0 {
		// Faults of parameters would only show again below.
		return errs
	}
	errs = append(errs, validateFragment(version.Defaults, arguments, path.Child("defaults"))...)
	errs = append(errs, validateFragment(version.Forced, arguments, path.Child("forced"))...)
	if len(errs) > 0 {
		return errs
	}
	return validateForced(version.Forced, path.Child("forced"))
}

func validateFragment(raw *runtime.RawExtension, arguments map[string]argument, path *field.Path) field.ErrorList {
	if raw != nil && len(raw.Raw) > maxFragment {
		return field.ErrorList{field.TooLong(path, "", maxFragment)}
	}
	_, errs := fillIn(raw, arguments, path)
	return errs
}

// validateForced refuses to leave out what is never left out: it would be set
// to our own default, and then against the template.
func validateForced(raw *runtime.RawExtension, path *field.Path) field.ErrorList {
	forced, errs := parseFragment(raw, path)
	if len(errs) > 0 {
		return errs
	}
	spec := &v1.VirtualClusterSpec{}
	v1.DefaultSpec(spec)
	always, err := encode(spec)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	walk(forced, func(at []string, value any) {
		if own, ok := lookup(always, at); ok && unset(value) {
			errs = append(errs, field.Invalid(path.Child(at[0], at[1:]...), written(value), fmt.Sprintf(
				"cannot be forced to be left out, since it defaults to %s: force a value", written(own))))
		}
	})
	return errs
}

func validateParameter(parameter *tenancy.TemplateParameter, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if parameter.Name != "" && !parameterName.MatchString(parameter.Name) {
		errs = append(errs, field.Invalid(path.Child("name"), parameter.Name, "must consist of letters, digits, - and _, and begin with a letter"))
	}
	if !slices.Contains(types, parameter.Type) {
		// Said by the rules that the types declare.
		return errs
	}
	errs = append(errs, validateRange(parameter, path)...)
	errs = append(errs, validatePattern(parameter, path.Child("pattern"))...)
	if len(errs) > 0 {
		return errs
	}
	bare := *parameter
	bare.Options = nil
	for i, option := range parameter.Options {
		errs = append(errs, check(&bare, option, path.Child("options").Index(i))...)
	}
	if parameter.Default != nil && len(errs) == 0 {
		errs = append(errs, check(parameter, *parameter.Default, path.Child("default"))...)
	}
	return errs
}

// validateRange judges minimum and maximum.
func validateRange(parameter *tenancy.TemplateParameter, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	values := map[string]any{}
	for _, end := range []struct {
		name string
		text *string
	}{{"minimum", parameter.Minimum}, {"maximum", parameter.Maximum}} {
		if end.text == nil {
			continue
		}
		at := path.Child(end.name)
		if !ordered(parameter.Type) {
			errs = append(errs, field.Forbidden(at, "only integers and quantities have one"))
			continue
		}
		value, err := parse(parameter.Type, *end.text)
		if err != nil {
			errs = append(errs, field.Invalid(at, *end.text, err.Error()))
			continue
		}
		values[end.name] = value
	}
	if len(values) == 2 && compare(values["minimum"], values["maximum"]) > 0 {
		errs = append(errs, field.Invalid(path.Child("maximum"), *parameter.Maximum, "must not be less than the minimum of "+*parameter.Minimum))
	}
	return errs
}

func validatePattern(parameter *tenancy.TemplateParameter, path *field.Path) field.ErrorList {
	if parameter.Pattern == "" {
		return nil
	}
	if parameter.Type != tenancy.ParameterString && parameter.Type != "" {
		return field.ErrorList{field.Forbidden(path, "only strings have one")}
	}
	if _, err := whole(parameter.Pattern); err != nil {
		return field.ErrorList{field.Invalid(path, parameter.Pattern, err.Error())}
	}
	return nil
}

// sample is a value to try a template with: the one that a virtual cluster gets
// that gives none, or else one that could be given.
func sample(parameter *tenancy.TemplateParameter) string {
	switch {
	case parameter.Default != nil:
		return *parameter.Default
	case len(parameter.Options) > 0:
		return parameter.Options[0]
	case parameter.Minimum != nil:
		return *parameter.Minimum
	case parameter.Maximum != nil:
		return *parameter.Maximum
	case parameter.Type == tenancy.ParameterBoolean:
		return "true"
	case parameter.Pattern != "":
		return example(parameter.Pattern)
	}
	return "1"
}

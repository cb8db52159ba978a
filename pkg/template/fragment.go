// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// A fragment is a part of the spec of a VirtualCluster, as decoded JSON.
type fragment = map[string]any

// references are the fields of a spec that choose a template, so no template can set them.
var references = []string{"templateRef", "hostClusterRef"}

// parseFragment decodes what a template holds, before its parameters are filled in.
func parseFragment(raw *runtime.RawExtension, path *field.Path) (fragment, field.ErrorList) {
	if raw == nil || len(raw.Raw) == 0 || string(raw.Raw) == "null" {
		return nil, nil
	}
	var parsed fragment
	twice, err := kjson.UnmarshalStrict(raw.Raw, &parsed)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(path, string(raw.Raw), "must be an object with fields of the spec of a VirtualCluster")}
	}
	var errs field.ErrorList
	for _, err := range twice {
		errs = append(errs, field.Invalid(path, "", err.Error()))
	}
	for _, name := range references {
		if _, ok := parsed[name]; ok {
			errs = append(errs, field.Forbidden(path.Child(name), "cannot stand in a template"))
		}
	}
	return parsed, errs
}

// conform decodes a fragment strictly as a part of a spec, and returns it with
// quantities and the like in their one spelling. What a decoded spec does not
// tell from a missing field, such as null and empty lists, is kept.
func conform(f fragment, path *field.Path) (fragment, field.ErrorList) {
	if len(f) == 0 {
		return nil, nil
	}
	spec, problems, err := decode(f)
	if err != nil {
		return nil, locate(f, nil, path, err)
	}
	var errs field.ErrorList
	for _, problem := range problems {
		at, name := path, problem.Error()
		var where kjson.FieldError
		if errors.As(problem, &where) {
			at, name = path.Child(where.FieldPath()), "is no field of the spec of a VirtualCluster"
		}
		errs = append(errs, field.Forbidden(at, name))
	}
	if len(errs) > 0 {
		return nil, errs
	}
	typed, err := encode(spec)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(path, err)}
	}
	return respelled(f, typed), nil
}

// decode makes a spec of a fragment. The problems are fields that a spec does not have.
func decode(f fragment) (*v1.VirtualClusterSpec, []error, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, nil, err
	}
	spec := &v1.VirtualClusterSpec{}
	problems, err := kjson.UnmarshalStrict(data, spec)
	return spec, problems, err
}

// encode is the reverse; fields that are not set are left out, or are empty objects.
func encode(spec *v1.VirtualClusterSpec) (fragment, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	var f fragment
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &f); err != nil {
		return nil, err
	}
	for _, name := range references {
		delete(f, name)
	}
	return f, nil
}

// respelled is f with the values of typed, which has been made of it, where there are any.
func respelled(f, typed fragment) fragment {
	out := make(fragment, len(f))
	for name, value := range f {
		known, ok := typed[name]
		inner, object := value.(fragment)
		knownInner, knownObject := known.(fragment)
		switch {
		case object && (knownObject || !ok):
			out[name] = respelled(inner, knownInner)
		case ok:
			out[name] = known
		default:
			out[name] = value
		}
	}
	return out
}

// locate finds the values that keep a fragment from being decoded, since the
// decoder does not say where a quantity is wrong.
func locate(f fragment, outer []string, path *field.Path, cause error) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(f)) {
		alone := fragment{name: f[name]}
		for i := len(outer) - 1; i >= 0; i-- {
			alone = fragment{outer[i]: alone}
		}
		_, _, err := decode(alone)
		if err == nil {
			continue
		}
		at := path.Child(name)
		if inner, ok := f[name].(fragment); ok && len(inner) > 0 {
			errs = append(errs, locate(inner, append(slices.Clone(outer), name), at, err)...)
			continue
		}
		errs = append(errs, field.Invalid(at, written(f[name]), explain(err)))
	}
	if len(errs) == 0 {
		errs = append(errs, field.Invalid(path, written(f), explain(cause)))
	}
	return errs
}

// explain says in the terms of JSON what is wrong with a type.
func explain(err error) string {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return fmt.Sprintf("cannot be a %s", mistyped.Value)
	}
	return err.Error()
}

// written is a value as JSON, for messages.
func written(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// record makes of a fragment what a status holds, and recorded the reverse.
func record(f fragment) (*runtime.RawExtension, error) {
	if len(f) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	return &runtime.RawExtension{Raw: data}, nil
}

func recorded(raw *runtime.RawExtension) (fragment, error) {
	if raw == nil || len(raw.Raw) == 0 {
		return nil, nil
	}
	var f fragment
	return f, kjson.UnmarshalCaseSensitivePreserveInts(raw.Raw, &f)
}

// ofSpec is the part of a spec that its author has set.
func ofSpec(spec *tenancy.VirtualClusterSpec) (fragment, error) {
	if spec == nil {
		return nil, nil
	}
	external := &v1.VirtualClusterSpec{}
	if err := v1.Convert_tenancy_VirtualClusterSpec_To_v1_VirtualClusterSpec(spec, external, nil); err != nil {
		return nil, err
	}
	return encode(external)
}

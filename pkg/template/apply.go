// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// kept are the fields that an update which leaves them out does not change:
// those that cannot be changed, and the version, which is never raised by silence.
var kept = [][]string{
	{"kubernetes", "distro"},
	{"kubernetes", "version"},
	{"controlPlane", "storage", "persistent"},
	{"controlPlane", "storage", "size"},
	{"controlPlane", "storage", "storageClassName"},
	{"controlPlane", "datastore"},
}

// A Write is one write of a virtual cluster's spec.
type Write struct {
	// Old is the spec before the write, nil on creation.
	Old *tenancy.VirtualClusterSpec
	// Before is the resolution that the last write applied, Now the one to apply. They are the same
	// pointer when the template is not applied again, and nil without a template.
	Before, Now *tenancy.TemplateStatus
}

// Apply completes spec, whose references are left alone: first what its author
// has set, or left out of what is kept, then the template's defaults, then our own;
// and the template's forced part over all of it. It refuses what the author of the
// write sets against the forced part. path is that of the spec.
//
// Where a template is applied again, fields that still have the value that it
// gave them follow it.
func Apply(spec *tenancy.VirtualClusterSpec, write Write, path *field.Path) field.ErrorList {
	internal := func(err error) field.ErrorList { return field.ErrorList{field.InternalError(path, err)} }
	set, err := ofSpec(spec)
	if err != nil {
		return internal(err)
	}
	old, err := ofSpec(write.Old)
	if err != nil {
		return internal(err)
	}
	keep(set, old)
	defaults, forced, err := parts(write.Now)
	if err != nil {
		return internal(err)
	}
	if write.Now != nil && write.Before != nil && write.Now != write.Before {
		given, imposed, err := parts(write.Before)
		if err != nil {
			return internal(err)
		}
		set = without(without(set, given), imposed)
	}
	if errs := overridden(set, old, forced, write.Now, path); len(errs) > 0 {
		return errs
	}
	merged := merge(merge(defaults, set), forced)
	keep(merged, old) // what the template has given and gives no more
	// What a status recorded was judged when it was resolved, perhaps by an older
	// release: fields that are gone since are dropped.
	external, _, err := decode(merged)
	if err != nil {
		return internal(fmt.Errorf("merge with the template: %w", err))
	}
	v1.DefaultSpec(external)
	complete := tenancy.VirtualClusterSpec{}
	if err := v1.Convert_v1_VirtualClusterSpec_To_tenancy_VirtualClusterSpec(external, &complete, nil); err != nil {
		return internal(err)
	}
	complete.TemplateRef, complete.HostClusterRef = spec.TemplateRef, spec.HostClusterRef
	*spec = complete
	return nil
}

// keep puts what is kept of old into f where f says nothing of it.
func keep(f, old fragment) {
	for _, at := range kept {
		if _, ok := lookup(f, at); ok {
			continue
		}
		if value, ok := lookup(old, at); ok {
			put(f, at, value)
		}
	}
}

// parts are the two fragments of a resolution.
func parts(resolved *tenancy.TemplateStatus) (defaults, forced fragment, err error) {
	if resolved == nil {
		return nil, nil, nil
	}
	if defaults, err = recorded(resolved.Defaults); err != nil {
		return nil, nil, fmt.Errorf("status.template.defaults: %w", err)
	}
	if forced, err = recorded(resolved.Forced); err != nil {
		return nil, nil, fmt.Errorf("status.template.forced: %w", err)
	}
	return defaults, forced, nil
}

// overridden refuses the fields that this write sets otherwise than they are
// forced. A value that has been there before silently gives way.
func overridden(set, old, forced fragment, now *tenancy.TemplateStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	walk(forced, func(at []string, want any) {
		value, ok := lookup(set, at)
		if !ok || reflect.DeepEqual(value, want) || unset(value) && unset(want) {
			return
		}
		if before, ok := lookup(old, at); ok && reflect.DeepEqual(value, before) {
			return
		}
		detail := fmt.Sprintf("template %q forces %s", now.Name, written(want))
		if unset(want) {
			detail = fmt.Sprintf("template %q forces it to be left out", now.Name)
		}
		errs = append(errs, field.Forbidden(path.Child(at[0], at[1:]...), detail))
	})
	return errs
}

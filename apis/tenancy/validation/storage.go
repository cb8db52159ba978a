// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// maxAllowedStorage is how long what is allowed may be, written out: it is an argument of the syncer.
const maxAllowedStorage = 32 << 10

// allowedStorage judges what an administrator allows volumes and classes of tenants to be.
func allowedStorage(spec *tenancy.AllowedStorage, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range spec.CSI {
		each, at := &spec.CSI[i], path.Child("csi").Index(i)
		errs = append(errs, driverName(each.Driver, at.Child("driver"))...)
		for j, handle := range each.VolumeHandles {
			errs = append(errs, valuePattern(handle, at.Child("volumeHandles").Index(j))...)
		}
		for j, handle := range each.SnapshotHandles {
			errs = append(errs, valuePattern(handle, at.Child("snapshotHandles").Index(j))...)
		}
		if len(each.VolumeHandles)+len(each.SnapshotHandles) == 0 {
			errs = append(errs, field.Required(at.Child("volumeHandles"), "say which volumes are allowed, or in snapshotHandles which snapshots"))
		}
		errs = append(errs, allowedValues(each.VolumeAttributes, at.Child("volumeAttributes"))...)
		errs = append(errs, optionsAndNamespaces(each.MountOptions, each.Namespaces, at)...)
	}
	for i := range spec.NFS {
		each, at := &spec.NFS[i], path.Child("nfs").Index(i)
		if each.Server == "" || strings.ContainsAny(each.Server, "/* \t\n") {
			errs = append(errs, field.Invalid(at.Child("server"), each.Server, "must be one name or address of a server"))
		}
		for j, directory := range each.Paths {
			if !v1.IsCleanPath(directory) {
				errs = append(errs, field.Invalid(at.Child("paths").Index(j), directory, "must begin with /, have no . and .. in it, and no / at the end"))
			}
		}
		errs = append(errs, optionsAndNamespaces(each.MountOptions, each.Namespaces, at)...)
	}
	for i := range spec.StorageClasses {
		each, at := &spec.StorageClasses[i], path.Child("storageClasses").Index(i)
		for _, problem := range utilvalidation.IsQualifiedName(strings.ToLower(each.Provisioner)) {
			errs = append(errs, field.Invalid(at.Child("provisioner"), each.Provisioner, problem))
		}
		errs = append(errs, allowedValues(each.Parameters, at.Child("parameters"))...)
		errs = append(errs, optionsAndNamespaces(each.MountOptions, each.Namespaces, at)...)
	}
	external := &v1.AllowedStorage{}
	if err := v1.Convert_tenancy_AllowedStorage_To_v1_AllowedStorage(spec, external, nil); err != nil {
		return append(errs, field.InternalError(path, err))
	}
	if argument, err := external.Argument(); err != nil || len(argument) > maxAllowedStorage {
		errs = append(errs, field.TooLong(path, "", maxAllowedStorage))
	}
	return errs
}

func driverName(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range utilvalidation.IsDNS1123Subdomain(strings.ToLower(name)) {
		errs = append(errs, field.Invalid(path, name, problem))
	}
	return errs
}

// allowedValues refuses keys that no entry can allow.
func allowedValues(values []tenancy.AllowedValues, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range values {
		at := path.Index(i)
		switch name := values[i].Name; {
		case name == "":
			errs = append(errs, field.Required(at.Child("name"), "name the key"))
		case v1.NamesSecret(name):
			errs = append(errs, field.Forbidden(at.Child("name"), name+" names a Secret or a namespace, and a tenant could name anybody's: leave it out"))
		}
		for j, value := range values[i].Values {
			// A key may be allowed to be empty.
			if value != "" {
				errs = append(errs, valuePattern(value, at.Child("values").Index(j))...)
			}
		}
	}
	return errs
}

// valuePattern allows a * at the end alone.
func valuePattern(pattern string, path *field.Path) field.ErrorList {
	switch {
	case pattern == "":
		return field.ErrorList{field.Required(path, "say which values are allowed; * stands for all")}
	case strings.Contains(strings.TrimSuffix(pattern, "*"), "*"):
		return field.ErrorList{field.Invalid(path, pattern, "may have a * at its end alone, which stands for any ending")}
	}
	return nil
}

func optionsAndNamespaces(options, namespaces []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, option := range options {
		if option == "" || strings.Contains(option, ",") {
			errs = append(errs, field.Invalid(path.Child("mountOptions").Index(i), option, "must be one option, as volumes have to write it"))
		}
	}
	for i, namespace := range namespaces {
		for _, problem := range utilvalidation.IsDNS1123Label(namespace) {
			errs = append(errs, field.Invalid(path.Child("namespaces").Index(i), namespace, problem))
		}
	}
	return errs
}

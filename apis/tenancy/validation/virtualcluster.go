// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// ValuesValidator checks advanced chart values against the chart's schema. It
// arrives from outside, since the chart is no part of the API.
type ValuesValidator func(values map[string]any, path *field.Path) field.ErrorList

// Validator judges VirtualClusters.
type Validator struct {
	// Values checks spec.helm.values; nil accepts any object.
	Values ValuesValidator
}

// Create judges a new VirtualCluster.
func (v *Validator) Create(vc *tenancy.VirtualCluster) field.ErrorList {
	metadata := field.NewPath("metadata")
	errs := apivalidation.ValidateObjectMeta(&vc.ObjectMeta, true, name, metadata)
	errs = append(errs, recovery(vc.Annotations, nil, metadata.Child("annotations"))...)
	errs = append(errs, wake(vc.Annotations, nil, metadata.Child("annotations"))...)
	return append(errs, v.spec(&vc.Spec, nil, field.NewPath("spec"))...)
}

// Update judges a change of metadata or spec.
func (v *Validator) Update(vc, old *tenancy.VirtualCluster) field.ErrorList {
	metadata := field.NewPath("metadata")
	errs := apivalidation.ValidateObjectMetaUpdate(&vc.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, recovery(vc.Annotations, old.Annotations, metadata.Child("annotations"))...)
	errs = append(errs, wake(vc.Annotations, old.Annotations, metadata.Child("annotations"))...)
	spec := field.NewPath("spec")
	errs = append(errs, v.spec(&vc.Spec, &old.Spec, spec)...)
	errs = append(errs, immutable(&vc.Spec, &old.Spec, spec)...)
	return append(errs, versionStep(vc.Spec.Kubernetes.Version, old.Spec.Kubernetes.Version, old.Status.KubernetesVersion,
		spec.Child("kubernetes", "version"))...)
}

// name allows what is a DNS label and leaves room for the suffixes of the
// names that are derived from it. A prefix, which is what generateName is, may
// be longer: it is cut.
func name(name string, prefix bool) []string {
	problems := apivalidation.NameIsDNSLabel(name, prefix)
	if !prefix && len(name) > v1.MaxNameLength {
		problems = append(problems, fmt.Sprintf("must be no more than %d characters, since the names of pods and "+
			"services are derived from it; this one has %d", v1.MaxNameLength, len(name)))
	}
	return problems
}

// spec judges the fields that differ from old, which is nil for a new object.
func (v *Validator) spec(spec, old *tenancy.VirtualClusterSpec, path *field.Path) field.ErrorList {
	if old == nil {
		old = &tenancy.VirtualClusterSpec{}
	} else if equality.Semantic.DeepEqual(spec, old) {
		return nil
	}
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(spec.TemplateRef, old.TemplateRef) {
		errs = append(errs, templateReference(spec.TemplateRef, path.Child("templateRef"))...)
	}
	if old.HostClusterRef.Name == "" {
		errs = append(errs, hostClusterReference(spec.HostClusterRef, path.Child("hostClusterRef"))...)
	}
	if !equality.Semantic.DeepEqual(spec.Access, old.Access) {
		errs = append(errs, access(spec.Access, path.Child("access"))...)
	}
	if !equality.Semantic.DeepEqual(spec.KubeconfigSecret, old.KubeconfigSecret) {
		errs = append(errs, kubeconfigSecret(spec.KubeconfigSecret, path.Child("kubeconfigSecret"))...)
	}
	errs = append(errs, kubernetes(&spec.Kubernetes, &old.Kubernetes, path.Child("kubernetes"))...)
	errs = append(errs, controlPlane(&spec.ControlPlane, &old.ControlPlane, path.Child("controlPlane"))...)
	if !equality.Semantic.DeepEqual(spec.Syncer, old.Syncer) {
		errs = append(errs, syncer(&spec.Syncer, path.Child("syncer"))...)
	}
	if !equality.Semantic.DeepEqual(spec.DNS, old.DNS) {
		errs = append(errs, resolve(spec.DNS.Resolve, path.Child("dns", "resolve"))...)
	}
	errs = append(errs, sleepless(spec, path)...)
	if !equality.Semantic.DeepEqual(spec.Sleep, old.Sleep) {
		errs = append(errs, sleepTimes(&spec.Sleep, path.Child("sleep"))...)
	}
	errs = append(errs, isolation(&spec.Isolation, &old.Isolation, path.Child("isolation"))...)
	if !equality.Semantic.DeepEqual(spec.Helm, old.Helm) {
		errs = append(errs, v.helmValues(spec.Helm.Values, path.Child("helm", "values"))...)
	}
	return errs
}

func kubernetes(spec, old *tenancy.KubernetesSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.Version != old.Version {
		errs = append(errs, version(spec.Version, path.Child("version"))...)
	}
	if !equality.Semantic.DeepEqual(spec.ExtraArgs, old.ExtraArgs) {
		errs = append(errs, serverArgs(spec.Distro, spec.ExtraArgs, path.Child("extraArgs"))...)
	}
	return errs
}

func controlPlane(spec, old *tenancy.ControlPlaneSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(spec.Resources, old.Resources) {
		errs = append(errs, resources(&spec.Resources, path.Child("resources"))...)
	}
	if !equality.Semantic.DeepEqual(spec.Storage, old.Storage) {
		errs = append(errs, storage(&spec.Storage, path.Child("storage"))...)
	}
	if spec.Datastore != nil && !equality.Semantic.DeepEqual(spec.Datastore, old.Datastore) {
		errs = append(errs, secretName(spec.Datastore.EndpointSecretRef.Name,
			path.Child("datastore", "endpointSecretRef", "name"))...)
	}
	return errs
}

func secretName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "name a Secret in the same namespace that holds the key endpoint")}
	}
	var errs field.ErrorList
	for _, problem := range utilvalidation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(path, name, problem))
	}
	return errs
}

// immutable refuses changes that would lose data, or that the objects on the host cannot follow.
func immutable(spec, old *tenancy.VirtualClusterSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	fixed := func(now, before any, remedy string, at ...string) {
		if !equality.Semantic.DeepEqual(now, before) {
			errs = append(errs, field.Invalid(path.Child(at[0], at[1:]...), now, "cannot be changed: "+remedy))
		}
	}
	const remake = "create a new virtual cluster instead"
	fixed(spec.Kubernetes.Distro, old.Kubernetes.Distro, remake, "kubernetes", "distro")
	now, before := &spec.ControlPlane, &old.ControlPlane
	fixed(now.Storage.Persistent, before.Storage.Persistent, "the data would be lost; "+remake, "controlPlane", "storage", "persistent")
	fixed(now.Storage.StorageClassName, before.Storage.StorageClassName, remake, "controlPlane", "storage", "storageClassName")
	fixed(now.Storage.Size, before.Storage.Size, "enlarge the PersistentVolumeClaim itself, if its class allows it",
		"controlPlane", "storage", "size")
	fixed(now.Datastore, before.Datastore, "the data would be lost; "+remake, "controlPlane", "datastore")
	return errs
}

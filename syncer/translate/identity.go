// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Identity is the virtual object that a host object stands for.
type Identity struct {
	types.NamespacedName
	// UID is empty between the creation of a host Service by the admission
	// webhook and its adoption, because the virtual one has none yet.
	UID types.UID
	// Kind is set when it differs from the kind of the host object, such as
	// Pod on the Secret with a pod's tokens.
	Kind string
}

// IsOurs says whether the host object was made by this cluster's syncer.
func (t *Translator) IsOurs(host metav1.Object) bool {
	return tenancyv1.IsSyncedFor(host, t.cluster.ID, t.cluster.HostNamespace)
}

// IdentityOf reads the virtual identity of a host object. It is false for an
// object that this cluster's syncer did not make.
func (t *Translator) IdentityOf(host metav1.Object) (Identity, bool) {
	if !t.IsOurs(host) {
		return Identity{}, false
	}
	annotations := host.GetAnnotations()
	return Identity{
		NamespacedName: types.NamespacedName{
			Namespace: annotations[tenancyv1.AnnotationVirtualNamespace],
			Name:      annotations[tenancyv1.AnnotationVirtualName],
		},
		UID:  types.UID(annotations[tenancyv1.AnnotationVirtualUID]),
		Kind: annotations[tenancyv1.AnnotationVirtualKind],
	}, true
}

// IdentityFor is the identity that the twin of the virtual object carries.
func IdentityFor(virtual metav1.Object) Identity {
	return Identity{
		NamespacedName: types.NamespacedName{Namespace: virtual.GetNamespace(), Name: virtual.GetName()},
		UID:            virtual.GetUID(),
	}
}

// Pass gives a host object labels and annotations of the tenant's under their own keys,
// and takes those away that it was given before. Mark follows.
func Pass(host metav1.Object, labels, annotations map[string]string) {
	records := host.GetAnnotations()
	if records == nil {
		records = map[string]string{}
	}
	passedLabels := pass(host.GetLabels(), labels, records[tenancyv1.AnnotationPassedLabels])
	records = pass(records, annotations, records[tenancyv1.AnnotationPassedAnnotations])
	for key, passed := range map[string]map[string]string{tenancyv1.AnnotationPassedLabels: labels, tenancyv1.AnnotationPassedAnnotations: annotations} {
		delete(records, key)
		if len(passed) > 0 {
			records[key] = strings.Join(slices.Sorted(maps.Keys(passed)), ",")
		}
	}
	host.SetLabels(passedLabels)
	host.SetAnnotations(records)
}

// pass returns current without what was passed before, and with what is now.
func pass(current, now map[string]string, before string) map[string]string {
	out := maps.Clone(current)
	if out == nil {
		out = map[string]string{}
	}
	for key := range strings.SplitSeq(before, ",") {
		delete(out, key)
	}
	for key, value := range now {
		if !tenancyv1.IsOwnKey(key) {
			out[key] = value
		}
	}
	return out
}

// Mark writes the metadata of a host object that stands for the identity:
// labels of the tenant, marker, annotations with the identity, and further ones.
// Labels and annotations in the syncer's own domains that are no longer wanted
// are removed; those that somebody on the host added stay. Namespace, where there
// is one, and name are set while they are empty. No owner is set: the garbage collector would follow it.
func (t *Translator) Mark(host metav1.Object, identity Identity, tenantLabels, annotations map[string]string) {
	// The twin of an object that is in no namespace is in none either.
	if host.GetNamespace() == "" && (identity.Namespace != "" || identity.Kind != "") {
		host.SetNamespace(t.cluster.HostNamespace)
	}
	if host.GetName() == "" {
		host.SetName(t.HostName(identity.Namespace, identity.Name))
	}
	host.SetLabels(replaceOwn(host.GetLabels(), t.HostLabels(identity.Namespace, tenantLabels)))

	own := maps.Clone(annotations)
	if own == nil {
		own = map[string]string{}
	}
	own[tenancyv1.AnnotationVirtualName] = identity.Name
	for _, record := range []string{tenancyv1.AnnotationPassedAnnotations, tenancyv1.AnnotationPassedLabels} {
		if passed, found := host.GetAnnotations()[record]; found {
			own[record] = passed
		}
	}
	for key, value := range map[string]string{
		tenancyv1.AnnotationVirtualNamespace: identity.Namespace,
		tenancyv1.AnnotationVirtualUID:       string(identity.UID),
		tenancyv1.AnnotationVirtualKind:      identity.Kind,
		tenancyv1.AnnotationIncarnation:      string(t.cluster.Incarnation),
	} {
		if value != "" {
			own[key] = value
		}
	}
	host.SetAnnotations(replaceOwn(host.GetAnnotations(), own))
	// Earlier syncers made the Service of the release the owner.
	host.SetOwnerReferences(slices.DeleteFunc(slices.Clone(host.GetOwnerReferences()), func(r metav1.OwnerReference) bool {
		return r.APIVersion == "v1" && r.Kind == "Service" && r.Name == t.cluster.ReleaseName()
	}))
}

// Control makes the host namespace what controls a pod on the host that is
// controlled inside, so that whoever drains a node there does not take it for one
// that nobody makes again. A namespace goes after all that is in it: no loss of another object,
// as of the release or of the VirtualCluster, has the garbage collector end
// workloads.
func (t *Translator) Control(host metav1.Object) {
	controls := true
	owner := metav1.OwnerReference{
		APIVersion: "v1", Kind: "Namespace", Name: t.cluster.HostNamespace, UID: t.cluster.NamespaceUID, Controller: &controls,
	}
	// One of another UID is that of a namespace before it was restored.
	references := slices.DeleteFunc(slices.Clone(host.GetOwnerReferences()), func(r metav1.OwnerReference) bool {
		return r.Kind == owner.Kind && r.Name == owner.Name
	})
	if slices.ContainsFunc(references, func(r metav1.OwnerReference) bool { return r.Controller != nil && *r.Controller }) {
		return
	}
	host.SetOwnerReferences(append(references, owner))
}

// replaceOwn returns current with all keys of the syncer's domains replaced by want.
func replaceOwn(current, want map[string]string) map[string]string {
	out := make(map[string]string, len(current)+len(want))
	for key, value := range current {
		if !tenancyv1.IsOwnKey(key) {
			out[key] = value
		}
	}
	maps.Copy(out, want)
	return out
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"

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
	return host.GetNamespace() == t.cluster.HostNamespace &&
		host.GetLabels()[tenancyv1.LabelCluster] == t.cluster.ID &&
		host.GetAnnotations()[tenancyv1.AnnotationVirtualName] != ""
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

// Mark writes the metadata of a host object that stands for the identity:
// labels of the tenant, marker, annotations with the identity, further
// annotations, and the owner. Labels and annotations in the syncer's own
// domains that are no longer wanted are removed; those that somebody on the
// host added stay. Namespace and name are set while they are empty.
func (t *Translator) Mark(host metav1.Object, identity Identity, tenantLabels, annotations map[string]string) {
	if host.GetNamespace() == "" {
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
	for key, value := range map[string]string{
		tenancyv1.AnnotationVirtualNamespace: identity.Namespace,
		tenancyv1.AnnotationVirtualUID:       string(identity.UID),
		tenancyv1.AnnotationVirtualKind:      identity.Kind,
	} {
		if value != "" {
			own[key] = value
		}
	}
	host.SetAnnotations(replaceOwn(host.GetAnnotations(), own))
	if t.cluster.Owner != nil {
		host.SetOwnerReferences(withOwner(host.GetOwnerReferences(), *t.cluster.Owner))
	}
}

// replaceOwn returns current with all keys of the syncer's domains replaced by want.
func replaceOwn(current, want map[string]string) map[string]string {
	out := make(map[string]string, len(current)+len(want))
	for key, value := range current {
		if !ownKey(key) {
			out[key] = value
		}
	}
	maps.Copy(out, want)
	return out
}

// withOwner returns the references with owner among them. A reference to an
// earlier Service of the same name is replaced: it would have the object collected.
func withOwner(references []metav1.OwnerReference, owner metav1.OwnerReference) []metav1.OwnerReference {
	out := make([]metav1.OwnerReference, 0, len(references)+1)
	for _, reference := range references {
		if reference.UID == owner.UID {
			return references
		}
		if reference.Kind != owner.Kind || reference.Name != owner.Name {
			out = append(out, reference)
		}
	}
	return append(out, owner)
}

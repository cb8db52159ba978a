// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// definitionOfGateways is the kind whose objects say themselves which routes may name them.
const definitionOfGateways = tenancyv1.ResourceGateways + "." + tenancyv1.GroupGatewayAPI

// forbids says why an object of a namespace may not name one of another namespace inside, and the
// reason for a condition; why is empty where it may. The host has one namespace for both, where nobody
// would ask: what the Gateway API asks of two namespaces is held to here. No other kind leads to
// another namespace.
func (b *builder) forbids(r *ruled, from string, of schema.GroupResource, named types.NamespacedName, reference map[string]any) (reason, why string) {
	kind := r.GroupVersionResource()
	own := fmt.Sprintf("an object goes to the host only with others of its own namespace, %q, and with those of the host that are shown", from)
	switch {
	case kind.Group != tenancyv1.GroupGatewayAPI:
		return "", own
	case of.String() == definitionOfGateways:
		reason, why := b.notAdmitted(from, named, reference)
		if why != "" {
			why = fmt.Sprintf("%s, and with Gateways whose listeners admit that namespace: %s", own, why)
		}
		return reason, why
	case b.grants != nil && slices.ContainsFunc(b.grants.List(), func(grant *unstructured.Unstructured) bool {
		return grant.GetNamespace() == named.Namespace && grant.GetDeletionTimestamp() == nil && grants(grant, kind.Group, r.Kind, from, of, named.Name)
	}):
		return "", ""
	}
	return reasonRefNotPermitted, fmt.Sprintf("%s, and with what a ReferenceGrant of the namespace %q opens to it", own, named.Namespace)
}

// grants tells whether the ReferenceGrant lets objects of a kind in a namespace name the object.
func grants(grant *unstructured.Unstructured, group, kind, namespace string, of schema.GroupResource, name string) bool {
	matches := func(field string, test func(entry map[string]any) bool) bool {
		entries, _, _ := unstructured.NestedSlice(grant.Object, "spec", field)
		return slices.ContainsFunc(entries, func(entry any) bool {
			fields, is := entry.(map[string]any)
			return is && test(fields)
		})
	}
	return matches("from", func(from map[string]any) bool {
		return from["group"] == group && from["kind"] == kind && from["namespace"] == namespace
	}) && matches("to", func(to map[string]any) bool {
		only, one := to["name"]
		kind, _ := to["kind"].(string)
		return to["group"] == of.Group && isKindOf(kind, of.Resource) && (!one || only == name)
	})
}

// followPermissions has objects of a kind looked at again when what opens another namespace to them
// changes.
func (b *builder) followPermissions(r *ruled) {
	if r.GroupVersionResource().Group != tenancyv1.GroupGatewayAPI || b.err != nil {
		return
	}
	if b.grants != nil {
		b.watch(r.controller, b.grants.Informer(), func(grant any) []types.NamespacedName {
			namespace := grant.(*unstructured.Unstructured).GetNamespace()
			return r.leadingTo("", func(from string, named types.NamespacedName) bool {
				return named.Namespace == namespace && from != namespace
			})
		})
	}
	for _, gateways := range b.ruled {
		if gateways.Definition() != definitionOfGateways || gateways == r {
			continue
		}
		b.watch(r.controller, gateways.virtual.Informer(), func(gateway any) []types.NamespacedName {
			key := engine.KeyOf(gateway.(*unstructured.Unstructured))
			return r.leadingTo(definitionOfGateways, func(_ string, named types.NamespacedName) bool { return named == key })
		})
		b.watch(r.controller, b.Virtual.Namespaces.Informer(), func(namespace any) []types.NamespacedName {
			return r.leadingTo(definitionOfGateways, func(from string, named types.NamespacedName) bool {
				return from == namespace.(*corev1.Namespace).Name && from != named.Namespace
			})
		})
	}
}

// leadingTo are the objects of the kind that name one of another kind, or of any, for which the test holds.
// Those that are refused are among them: the host may have an earlier version.
func (r *ruled) leadingTo(of string, test func(from string, named types.NamespacedName) bool) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, virtual := range r.virtual.List() {
		named, refused := r.naming(virtual)
		if refused {
			keys = append(keys, engine.KeyOf(virtual))
		}
		for kind, names := range named {
			if (of == "" || of == kind) && slices.ContainsFunc(names, func(named types.NamespacedName) bool { return test(virtual.GetNamespace(), named) }) {
				keys = append(keys, engine.KeyOf(virtual))
				break
			}
		}
	}
	return keys
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// notAdmitted says why the Gateway inside takes no such reference of a route in the namespace. On the host,
// its listeners admit all routes of the tenant: so each one that is meant has to admit the namespace. There
// is a reason where a listener does not; all else, the host's controller sees for itself.
func (b *builder) notAdmitted(from string, named types.NamespacedName, reference map[string]any) (reason, why string) {
	gateways := b.gateways()
	if gateways == nil {
		return "", "the VirtualCluster does not have gateways go to the host"
	}
	gateway, found := gateways.virtual.Get(named.Namespace, named.Name)
	if !found {
		return "", fmt.Sprintf("there is no Gateway %s", named)
	}
	listeners := meant(gateway, reference)
	for _, listener := range listeners {
		if !b.admits(listener, from) {
			return reasonNotAllowedByListeners, fmt.Sprintf("listener %v of Gateway %s does not", listener["name"], named)
		}
	}
	if len(listeners) == 0 {
		return "", fmt.Sprintf("Gateway %s has no such listener", named)
	}
	return "", ""
}

// gateways is the kind whose objects have listeners; nil where it stays inside.
func (b *builder) gateways() *ruled {
	at := slices.IndexFunc(b.ruled, func(r *ruled) bool { return r.Definition() == definitionOfGateways })
	if at < 0 {
		return nil
	}
	return b.ruled[at]
}

// meant are the listeners of the Gateway that a reference is to.
func meant(gateway *unstructured.Unstructured, reference map[string]any) []map[string]any {
	var listeners []map[string]any
	for _, each := range listAt(gateway.Object, "spec", "listeners") {
		listener, _ := each.(map[string]any)
		if section, says := reference[fieldSectionName]; says && section != listener["name"] {
			continue
		}
		if port, says := reference["port"]; says && port != listener["port"] {
			continue
		}
		listeners = append(listeners, listener)
	}
	return listeners
}

// admitting are the names of those listeners that admit routes of the namespace, where a reference to
// a Gateway inside means others as well. There are none where all or none of them do.
func (b *builder) admitting(from string, reference map[string]any) []string {
	gateways := b.gateways()
	namespace, _ := reference["namespace"].(string)
	name, _ := reference["name"].(string)
	if _, says := reference[fieldSectionName]; says || gateways == nil || namespace == "" || namespace == from {
		return nil
	}
	gateway, found := gateways.virtual.Get(namespace, name)
	if !found || isShown(gateway, tenancyv1.LabelMapped, b.Translator.Cluster().ID) {
		return nil
	}
	listeners := meant(gateway, reference)
	var names []string
	for _, listener := range listeners {
		if name, _ := listener["name"].(string); name != "" && b.admits(listener, from) {
			names = append(names, name)
		}
	}
	if len(names) == len(listeners) {
		return nil
	}
	return names
}

// spread is what the host has for an item of a list: the item, or several. A route whose reference
// names no listener is taken by each one that admits it. On the host, all of them do. So the reference
// becomes one to each listener that does inside.
func (t *translation) spread(tree *fieldTree, item any) []any {
	fields, is := item.(map[string]any)
	if !is || t.admitting == nil || tree.rule == nil || tree.rule.Of != definitionOfGateways || namesKind(schema.ParseGroupResource(tree.rule.Of), fields) != nil {
		return []any{item}
	}
	var items []any
	for _, name := range t.admitting(fields) {
		one := maps.Clone(fields)
		one[fieldSectionName] = name
		items = append(items, one)
	}
	if len(items) == 0 {
		return []any{item}
	}
	return items
}

// gather reverses spread in the status: what the host's controller says of each listener is one entry inside.
// A route is accepted where one listener accepts it.
func gather(virtual any, entries []any) []any {
	kept := make([]any, 0, len(entries))
	for _, each := range entries {
		entry, _ := each.(map[string]any)
		parent, _ := entry["parentRef"].(map[string]any)
		if !isSpread(virtual, parent) {
			kept = append(kept, each)
			continue
		}
		delete(parent, fieldSectionName)
		at := slices.IndexFunc(kept, func(other any) bool {
			fields, _ := other.(map[string]any)
			return fields["controllerName"] == entry["controllerName"] && reflect.DeepEqual(fields["parentRef"], entry["parentRef"])
		})
		switch {
		case at < 0:
			kept = append(kept, each)
		case !accepted(kept[at]) && accepted(each):
			kept[at] = each
		}
	}
	return kept
}

// isSpread tells whether the object inside has a reference to that parent without a listener.
func isSpread(virtual any, parent map[string]any) bool {
	if _, says := parent[fieldSectionName]; !says {
		return false
	}
	return slices.ContainsFunc(listAt(virtual, "spec", "parentRefs"), func(each any) bool {
		fields, _ := each.(map[string]any)
		_, says := fields[fieldSectionName]
		return !says && fields["name"] == parent["name"] && fields["namespace"] == parent["namespace"] && fields["port"] == parent["port"]
	})
}

func accepted(entry any) bool {
	return slices.ContainsFunc(listAt(entry, "conditions"), func(each any) bool {
		condition, _ := each.(map[string]any)
		return condition["type"] == "Accepted" && condition["status"] == "True"
	})
}

// admits tells whether the listener takes routes of another namespace than the Gateway's.
func (b *builder) admits(listener map[string]any, from string) bool {
	which, _, _ := unstructured.NestedString(listener, "allowedRoutes", "namespaces", "from")
	switch which {
	case "All":
		return true
	case "Selector":
		fields, _, _ := unstructured.NestedMap(listener, "allowedRoutes", "namespaces", "selector")
		selector := &metav1.LabelSelector{}
		if runtime.DefaultUnstructuredConverter.FromUnstructured(fields, selector) != nil {
			return false
		}
		matches, err := metav1.LabelSelectorAsSelector(selector)
		namespace, found := b.Virtual.Namespaces.Get("", from)
		return err == nil && found && matches.Matches(labels.Set(namespace.Labels))
	}
	return false
}

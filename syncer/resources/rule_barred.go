// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// Reasons of the Gateway API's conditions.
const (
	reasonRefNotPermitted       = "RefNotPermitted"
	reasonInvalidKind           = "InvalidKind"
	reasonInvalidCertificateRef = "InvalidCertificateRef"
	reasonNotAllowedByListeners = "NotAllowedByListeners"
)

const (
	// purposeBarred derives names that nothing has.
	purposeBarred = "barred"
	// anyPort is that of a backend which has none, as its kind is none that does.
	anyPort int64 = 1

	fieldSectionName = "sectionName"
)

// barred is a reference of the Gateway API that may not lead where it says. It leads nowhere on the
// host: to a name that nothing has there, or to a listener that its Gateway lacks. So the host's
// controller serves what else the object asks for, and says in the status what it could not resolve.
// The status inside gives the reason.
type barred struct {
	// path is where it stands in the object.
	path string
	// reason is that of the condition. It is empty where the controller's own is right.
	reason string
	// why says in a sentence what is missing.
	why string
	// section is that of a reference to a Gateway on the host; empty for all others.
	section string
}

// barrable tells whether a condition speaks of the reference, so that its object goes to the host
// without it. No other kind has a rule for what is left then.
func (t *translation) barrable(path string) bool {
	for _, part := range []string{"spec.parentRefs[", "spec.rules[", "spec.listeners[", "spec.validation."} {
		if strings.HasPrefix(path, part) {
			return t.gatewayAPI
		}
	}
	return false
}

// bar makes the reference lead nowhere. What is made of it has the fields besides its name.
func (t *translation) bar(made map[string]any, path string, of schema.GroupResource, named types.NamespacedName, reason, why string) map[string]any {
	bar := barred{path: path, reason: reason, why: why}
	if of.String() == definitionOfGateways {
		// The Gateway is named, whose controller speaks of the reference then. No listener has the name:
		// who gives it to one lets in whom he could let in by allowedRoutes.
		section, _ := made[fieldSectionName].(string)
		bar.section = t.nowhere(named, section)
		made[fieldSectionName] = bar.section
		t.at(made, named)
	} else {
		made["group"], made["kind"], made["name"] = of.Group, kindsNamed()[of.Resource], t.translator.DerivedName(purposeBarred, named.Namespace, named.Name)
		if _, has := made["port"]; !has && of.Resource == tenancyv1.ResourceServices {
			made["port"] = anyPort
		}
	}
	t.barred = append(t.barred, bar)
	return made
}

// nowhere is the name of no listener. It differs by the Gateway and the listener that are asked for: a
// route names each once.
func (t *translation) nowhere(gateway types.NamespacedName, section string) string {
	return t.translator.DerivedName(purposeBarred, gateway.Namespace, gateway.Name+"/"+section)
}

// kindsNamed are what objects that rules of the Gateway API name call themselves.
func kindsNamed() map[string]string {
	return map[string]string{tenancyv1.ResourceServices: "Service", tenancyv1.ResourceSecrets: "Secret", tenancyv1.ResourceConfigMaps: "ConfigMap"}
}

// refusal tells of the references that are barred; nil where there are none.
func (t *translation) refusal() error {
	var all []error
	for _, bar := range t.barred {
		all = append(all, engine.Refuse(reasonUntranslatable, bar.why))
	}
	return errors.Join(all...)
}

// trespasses tells whether the object on the host leads to another namespace inside, or to what is shown
// of the host, where that is not permitted now. It may be of an earlier version of the object inside: a
// change that is refused, here or by the host, must not keep open what was closed.
func (r *ruled) trespasses(virtual, host *unstructured.Unstructured) bool {
	_, done, _ := r.translate(virtual)
	found := false
	r.tree.visit(host.Object, func(of string, reference map[string]any) {
		namespace, crosses := reference["namespace"].(string)
		section, _ := reference[fieldSectionName].(string)
		if _, barred := done.sectionInside(virtual.Object, section); !crosses || barred || found {
			return
		}
		name, _ := reference["name"].(string)
		key := types.NamespacedName{Namespace: namespace, Name: name}
		inside, known := done.shown[key]
		if !known {
			inside, known = r.b.insideOf(of, key)
		}
		switch {
		case !known:
			found = true
		case namespace == r.host.Namespace():
			_, why := r.b.forbids(r, virtual.GetNamespace(), schema.ParseGroupResource(of), inside, reference)
			found = why != ""
		}
	})
	return found
}

// visit calls do for each reference in the value, with the kind that it may name.
func (f *fieldTree) visit(value any, do func(of string, reference map[string]any)) {
	if items, is := value.([]any); is && f.each {
		one := fieldTree{rule: f.rule, within: f.within}
		for _, item := range items {
			one.visit(item, do)
		}
		return
	}
	fields, is := value.(map[string]any)
	if !is {
		return
	}
	if f.rule != nil && f.rule.As == tenancyv1.FieldReference {
		do(f.rule.Of, fields)
	}
	for name, within := range f.within {
		within.visit(fields[name], do)
	}
}

// insideOf is what an object of the host is called inside. Of a kind that is not synced, nothing is known.
func (b *builder) insideOf(of string, host types.NamespacedName) (types.NamespacedName, bool) {
	var found metav1.Object
	var there bool
	switch {
	case of != tenancyv1.ResourceServices && of != tenancyv1.ResourceSecrets:
		return b.nameInside(host)
	case !slices.Contains(b.Host.Resources(), core(of)):
	case of == tenancyv1.ResourceServices:
		found, there = object(b.Host.Services.Get(host.Namespace, host.Name))
	default:
		found, there = object(b.Host.Secrets.Get(host.Namespace, host.Name))
	}
	if !there {
		return types.NamespacedName{}, false
	}
	identity, ours := b.Translator.IdentityOf(found)
	return identity.NamespacedName, ours
}

// explain returns a part of the status, for the references that the object inside has. It says of those that are
// barred what the host's controller cannot know.
func (t *translation) explain(virtual, part any, field string) any {
	entries, is := part.([]any)
	if !is {
		return part
	}
	for _, each := range entries {
		entry, is := each.(map[string]any)
		if !is {
			continue
		}
		section := ""
		if parent, is := entry["parentRef"].(map[string]any); is {
			section, _ = parent[fieldSectionName].(string)
			if inside, nowhere := t.sectionInside(virtual, section); nowhere && inside != nil {
				parent[fieldSectionName] = inside
			} else if nowhere {
				delete(parent, fieldSectionName)
			}
			t.sayNamespace(virtual, parent)
		}
		for _, bar := range t.barred {
			switch {
			case bar.reason == "":
			case bar.section != "" && bar.section == section:
				overrule(entry, "Accepted", bar)
			case bar.section == "" && bar.concerns(virtual, field, entry):
				overrule(entry, "ResolvedRefs", bar)
			}
		}
	}
	return gather(virtual, entries)
}

// sectionInside is what the object inside has for a section that is nowhere; nil where it has none. It is
// false for any other section.
func (t *translation) sectionInside(virtual any, section string) (inside any, nowhere bool) {
	for _, each := range listAt(virtual, "spec", "parentRefs") {
		fields, _ := each.(map[string]any)
		gateway := types.NamespacedName{Namespace: t.namespace}
		if namespace, _ := fields["namespace"].(string); namespace != "" {
			gateway.Namespace = namespace
		}
		gateway.Name, _ = fields["name"].(string)
		name, _ := fields[fieldSectionName].(string)
		if section == t.nowhere(gateway, name) {
			return fields[fieldSectionName], true
		}
	}
	return nil, false
}

// sayNamespace gives a reference of the status the object's own namespace where the object says it. On the
// host it does not.
func (t *translation) sayNamespace(virtual any, parent map[string]any) {
	if _, says := parent["namespace"]; says {
		return
	}
	for _, each := range listAt(virtual, "spec", "parentRefs") {
		fields, _ := each.(map[string]any)
		if fields["namespace"] == t.namespace && fields["name"] == parent["name"] && fields[fieldSectionName] == parent[fieldSectionName] && fields["port"] == parent["port"] {
			parent["namespace"] = t.namespace
		}
	}
}

// concerns tells whether an entry of the status is about the reference. One of a listener is
// about that listener alone.
func (bar barred) concerns(virtual any, field string, entry map[string]any) bool {
	var index int
	if _, err := fmt.Sscanf(bar.path, "spec.listeners[%d]", &index); err != nil {
		return true
	}
	listeners := listAt(virtual, "spec", "listeners")
	if field != "listeners" || index >= len(listeners) {
		return false
	}
	listener, _ := listeners[index].(map[string]any)
	return listener["name"] == entry["name"]
}

// overrule has a condition say that it is not met, because of the reference.
func overrule(entry map[string]any, kind string, bar barred) {
	for _, each := range listAt(entry, "conditions") {
		if condition, is := each.(map[string]any); is && condition["type"] == kind {
			condition["status"], condition["reason"], condition["message"] = "False", bar.reason, bar.why
		}
	}
}

func listAt(value any, path ...string) []any {
	for _, name := range path {
		fields, _ := value.(map[string]any)
		value = fields[name]
	}
	items, _ := value.([]any)
	return items
}

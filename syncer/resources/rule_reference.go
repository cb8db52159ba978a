// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// besides are the fields of a reference that say what of the named object is meant. They are
// numbers and names within it.
func besides() []string { return []string{"port", "weight", "sectionName"} }

// referrals find objects of the host that are shown inside, by kind, which references may name.
type referrals map[string]func(inside types.NamespacedName) (host types.NamespacedName, shown bool)

// reference translates an object that names another one. All namespaces inside are one on the host,
// so no permission there would keep two of them apart: what is named belongs to the same namespace,
// or is shown of the host.
func (t *translation) reference(tree *fieldTree, path string, value any) (any, bool, error) {
	fields, is := value.(map[string]any)
	if !is {
		return nil, false, engine.Refuse(reasonUntranslatable, path+" is not an object, although the rule of the kind expects one")
	}
	made := map[string]any{}
	if len(tree.within) > 0 {
		ruled, _, err := t.inside(tree, "", path, value)
		if err != nil {
			return nil, false, err
		}
		maps.Copy(made, ruled.(map[string]any))
	}
	for _, name := range besides() {
		if given, has := fields[name]; has {
			made[name] = given
		}
	}
	for _, name := range []string{"group", "kind"} {
		if given, has := fields[name]; has {
			made[name] = given
		}
	}
	of := schema.ParseGroupResource(tree.rule.Of)
	if err := namesKind(of, fields); err != nil {
		return nil, false, engine.Refuse(reasonUntranslatable, fmt.Sprintf("%s %v: leave it out", path, err))
	}
	name, is := fields["name"].(string)
	if !is || name == "" {
		return nil, false, engine.Refuse(reasonUntranslatable, path+" names nothing")
	}
	named := types.NamespacedName{Namespace: t.namespace, Name: name}
	if namespace, has := fields["namespace"]; has && namespace != "" {
		if named.Namespace, is = namespace.(string); !is {
			return nil, false, engine.Refuse(reasonUntranslatable, path+".namespace is not a string")
		}
	}
	if refer := t.refer[tree.rule.Of]; refer != nil {
		if host, shown := refer(named); shown {
			made["name"], made["namespace"] = host.Name, host.Namespace
			t.shown[host] = named
			return made, true, nil
		}
	}
	if named.Namespace != t.namespace {
		return nil, false, engine.Refuse(reasonUntranslatable, fmt.Sprintf(
			"%s.namespace is %q: an object goes to the host only with others of its own namespace, %q, and with those of the host that are shown", path, named.Namespace, t.namespace))
	}
	t.named[tree.rule.Of] = append(t.named[tree.rule.Of], name)
	made["name"] = t.translator.HostName(t.namespace, name)
	return made, true, nil
}

// namesKind says what is wrong with the kind that a reference is about. One that says nothing means
// the kind of the rule.
func namesKind(of schema.GroupResource, fields map[string]any) error {
	group, kind := of.Group, ""
	if given, has := fields["group"]; has {
		group, _ = given.(string)
		if group != of.Group {
			return fmt.Errorf("names the group %q, but the syncer only syncs references to %s", group, of)
		}
	}
	if given, has := fields["kind"]; has {
		kind, _ = given.(string)
		// The guess makes gatewaies of Gateway.
		plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: group, Kind: kind})
		if plural.Resource != of.Resource && strings.ToLower(kind)+"s" != of.Resource {
			return fmt.Errorf("names a %s, but the syncer only syncs references to %s", kind, of)
		}
	}
	return nil
}

// readNames replaces the namespace and the name on the host with those inside, in each
// reference that a status repeats.
func (t *translation) readNames(value any, hostNamespace string) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = t.readNames(v[i], hostNamespace)
		}
	case map[string]any:
		for key := range v {
			v[key] = t.readNames(v[key], hostNamespace)
		}
		namespace, has := v["namespace"].(string)
		name, _ := v["name"].(string)
		if inside, shown := t.shown[types.NamespacedName{Namespace: namespace, Name: name}]; has && shown {
			v["name"], v["namespace"] = inside.Name, inside.Namespace
		} else if has && namespace == hostNamespace {
			v["namespace"] = t.namespace
		}
	}
	return value
}

// refersTo has references name what is shown inside of the host.
func (b *builder) refersTo(kind *ShownKind, shown func(types.NamespacedName) (types.NamespacedName, bool)) {
	rule := tenancyv1.KindRule{APIVersion: kind.APIVersion, Resource: kind.Resource}
	b.referrals[rule.Definition()] = shown
}

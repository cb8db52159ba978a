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
// is shown of the host, or is open to the namespace inside. A reference of the Gateway API to anything
// else is barred; any other kind is refused.
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
	otherKind := namesKind(of, fields)
	if otherKind != nil && (of.String() == definitionOfGateways || !t.barrable(path)) {
		return nil, false, engine.Refuse(reasonUntranslatable, fmt.Sprintf("%s %v: leave it out", path, otherKind))
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
	if otherKind != nil {
		reason := reasonInvalidKind
		if of.Resource == tenancyv1.ResourceSecrets {
			reason = reasonInvalidCertificateRef
		}
		return t.bar(made, path, of, named, reason, fmt.Sprintf("%s %v", path, otherKind)), true, nil
	}
	if refer := t.refer[tree.rule.Of]; refer != nil {
		if host, shown := refer(named); shown {
			made["name"], made["namespace"] = host.Name, host.Namespace
			t.shown[host] = named
			return made, true, nil
		}
	}
	if named.Namespace != t.namespace {
		if reason, why := t.forbids(of, named, fields); why != "" {
			why = fmt.Sprintf("%s.namespace is %q: %s", path, named.Namespace, why)
			if !t.barrable(path) {
				return nil, false, engine.Refuse(reasonUntranslatable, why)
			}
			return t.bar(made, path, of, named, reason, why), true, nil
		}
	}
	t.at(made, named)
	t.named[tree.rule.Of] = append(t.named[tree.rule.Of], named)
	return made, true, nil
}

// at has the reference name what the object inside is called on the host.
func (t *translation) at(made map[string]any, named types.NamespacedName) {
	host := types.NamespacedName{Namespace: t.translator.Cluster().HostNamespace, Name: t.translator.HostName(named.Namespace, named.Name)}
	made["name"] = host.Name
	if named.Namespace != t.namespace {
		made["namespace"], t.shown[host] = host.Namespace, named
	}
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
		if !isKindOf(kind, of.Resource) {
			return fmt.Errorf("names a %s, but the syncer only syncs references to %s", kind, of)
		}
	}
	return nil
}

// isKindOf tells whether objects of the resource call themselves so.
func isKindOf(kind, resource string) bool {
	// The guess makes gatewaies of Gateway.
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: kind})
	return plural.Resource == resource || strings.ToLower(kind)+"s" == resource
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
		if !has {
			return value
		}
		host := types.NamespacedName{Namespace: namespace, Name: name}
		inside, known := t.shown[host]
		if !known && t.known != nil {
			inside, known = t.known(host)
		}
		if known {
			v["name"], v["namespace"] = inside.Name, inside.Namespace
		} else if namespace == hostNamespace {
			v["namespace"] = t.namespace
		}
	}
	return value
}

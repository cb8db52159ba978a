// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// unwantedMapped says why objects with the mark have no twin on the host.
const unwantedMapped = "the syncer shows an object of the host here"

// ShownKind is a kind that both sides serve and of which objects of the host are shown inside.
type ShownKind struct {
	tenancyv1.KindFromHost
	// Kind is what objects of it call themselves.
	Kind string
	// Status says that the kind has the subresource status.
	Status bool
}

// shownKinds shows objects of the host of kinds without a Go type. The host is watched for each
// by its name, or for all of a namespace: the syncer may be allowed no more.
func (b *builder) shownKinds() {
	for _, kind := range b.Rules.Shown {
		rule := kind.Rule()
		at := rule.GroupVersionResource()
		m := newMapped(b, mappedKind[*unstructured.Unstructured]{
			copy: func(host, inside *unstructured.Unstructured) { copyContent(host, inside, kind.Status) },
			fits: func(_, _ *unstructured.Unstructured) bool { return true },
		})
		stores := map[tenancyv1.CustomSource]*engine.Store[*unstructured.Unstructured]{}
		for _, mapping := range kind.Mappings {
			from := mapping.From
			if stores[from] == nil {
				options := engine.StoreOptions{Namespace: from.Namespace}
				if from.Name != tenancyv1.AllNames {
					options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, from.Name).String()
				}
				stores[from] = engine.NewDynamicStore(b.Host.Informers, at, kind.Kind, b.Rules.Host, options)
			}
			if from.Name == tenancyv1.AllNames {
				m.whole[mapping.To.Namespace] = stores[from]
			} else {
				m.sources[types.NamespacedName{Namespace: mapping.To.Namespace, Name: mapping.To.Name}] = source[*unstructured.Unstructured]{stores[from], from.Name}
			}
		}
		inside := engine.NewDynamicStore(b.Virtual.Informers, at, kind.Kind, b.Rules.Virtual, engine.StoreOptions{})
		if at := slices.IndexFunc(b.ruled, func(r *ruled) bool {
			return r.KindRule.Definition() == rule.Definition() && r.APIVersion == rule.APIVersion
		}); at >= 0 {
			inside = b.ruled[at].virtual
		}
		b.referrals[rule.Definition()] = func(key types.NamespacedName) (types.NamespacedName, bool) { return m.hostName(inside, key) }
		b.shownNames = append(b.shownNames, m.insideName)
		b.followShown(m, rule.Definition(), inside)
		var status func(*unstructured.Unstructured)
		if kind.Status {
			status = func(object *unstructured.Unstructured) {
				if host, shown := m.host(engine.KeyOf(object)); shown {
					copyStatus(host, object)
				}
			}
		}
		m.add(b, rule.Definition(), inside, status)
	}
	for _, kind := range b.Rules.Hidden {
		// The marks of this virtual cluster alone: anybody may have given others.
		shown := engine.NewDynamicStore(b.Virtual.Informers, kind, "", b.Rules.Virtual,
			engine.StoreOptions{LabelSelector: tenancyv1.LabelMapped + "=" + b.Translator.Cluster().ID})
		b.engine.AddTask(func(ctx context.Context) {
			engine.Clear(ctx, shown, func(object *unstructured.Unstructured) bool {
				return isShown(object, tenancyv1.LabelMapped, b.Translator.Cluster().ID)
			})
		})
	}
}

// followShown has objects that name one of the kind be looked at again when it comes or goes: the host's,
// and what a tenant has inside in its place.
func (b *builder) followShown(m *mapped[*unstructured.Unstructured], definition string, inside *engine.Store[*unstructured.Unstructured]) {
	for _, r := range b.ruled {
		if !r.tree.refersTo(definition) {
			continue
		}
		naming := func(keys []types.NamespacedName) []types.NamespacedName {
			return r.leadingTo(definition, func(_ string, named types.NamespacedName) bool { return slices.Contains(keys, named) })
		}
		for store, keys := range m.shownAs() {
			b.watchEnds(r.controller, store.Informer(), func(host any) []types.NamespacedName { return naming(keys(host)) })
		}
		b.watchEnds(r.controller, inside.Informer(), func(object any) []types.NamespacedName {
			return naming(engine.SameKey(object))
		})
	}
}

// hostName is the name of the host's object that is shown under the name, now. Where a tenant has
// an object of that name, the host's is not shown.
func (m *mapped[T]) hostName(inside *engine.Store[T], key types.NamespacedName) (types.NamespacedName, bool) {
	host, shown := m.host(key)
	if object, found := inside.Get(key.Namespace, key.Name); !shown || found && !isShown(object, tenancyv1.LabelMapped, m.id) {
		return types.NamespacedName{}, false
	}
	return engine.KeyOf(host), true
}

// insideName is a name under which the host's object is shown; the first of several.
func (m *mapped[T]) insideName(host types.NamespacedName) (types.NamespacedName, bool) {
	var names []types.NamespacedName
	for key, from := range m.sources {
		if from.store.Namespace() == host.Namespace && from.name == host.Name {
			names = append(names, key)
		}
	}
	for namespace, store := range m.whole {
		if store.Namespace() == host.Namespace {
			names = append(names, types.NamespacedName{Namespace: namespace, Name: host.Name})
		}
	}
	if len(names) == 0 {
		return types.NamespacedName{}, false
	}
	return slices.MinFunc(names, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }), true
}

// nameInside is the name inside of an object of the host that stands for one by a rule, or is shown.
func (b *builder) nameInside(host types.NamespacedName) (types.NamespacedName, bool) {
	for _, r := range b.ruled {
		if found, there := r.host.Get(host.Namespace, host.Name); there {
			identity, ours := b.Translator.IdentityOf(found)
			return types.NamespacedName{Namespace: identity.Namespace, Name: identity.Name}, ours
		}
	}
	for _, shown := range b.shownNames {
		if inside, is := shown(host); is {
			return inside, true
		}
	}
	return types.NamespacedName{}, false
}

// ownContent are the parts of an object that are not copied with its content.
func ownContent(withStatus bool) []string {
	own := []string{"apiVersion", "kind", "metadata"}
	if withStatus {
		own = append(own, "status")
	}
	return own
}

// copyContent gives the object inside what the host's is, without its metadata.
func copyContent(host, inside *unstructured.Unstructured, withStatus bool) {
	if inside.Object == nil {
		inside.Object = map[string]any{}
	}
	own := ownContent(withStatus)
	for name := range inside.Object {
		if _, has := host.Object[name]; !has && !slices.Contains(own, name) {
			delete(inside.Object, name)
		}
	}
	for name, value := range host.Object {
		if !slices.Contains(own, name) {
			inside.Object[name] = runtime.DeepCopyJSONValue(value)
		}
	}
}

// copyStatus reports what the host's object reports.
func copyStatus(host, object *unstructured.Unstructured) {
	if status, has := host.Object["status"]; has {
		object.Object["status"] = runtime.DeepCopyJSONValue(status)
	} else {
		delete(object.Object, "status")
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"slices"

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
	// Status says that the status is written by itself.
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
		b.refersTo(&kind, func(key types.NamespacedName) (types.NamespacedName, bool) { return m.hostName(inside, key) })
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
		b.engine.AddTask(func(ctx context.Context) { engine.Clear(ctx, shown) })
	}
}

// hostName is the name of the host's object that is shown under the name, now. Where a tenant has
// an object of that name, the host's is not shown.
func (m *mapped[T]) hostName(inside *engine.Store[T], key types.NamespacedName) (types.NamespacedName, bool) {
	host, shown := m.host(key)
	if object, found := inside.Get(key.Namespace, key.Name); !shown || found && object.GetLabels()[tenancyv1.LabelMapped] != m.id {
		return types.NamespacedName{}, false
	}
	return engine.KeyOf(host), true
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// mappedKind is a kind of which objects of the host are shown inside by name.
type mappedKind[T engine.Object] struct {
	// copy brings the content inside.
	copy func(host, inside T)
	// fits says whether the object inside can become what the host's is.
	fits func(host, inside T) bool
}

// mappedConfigMaps shows ConfigMaps of the host inside.
func (b *builder) mappedConfigMaps() {
	addMapped(b, b.Virtual.ConfigMaps, func(all kubernetes.Interface) func(string) typedcorev1.ConfigMapInterface {
		return all.CoreV1().ConfigMaps
	}, mappedKind[*corev1.ConfigMap]{
		copy: func(host, inside *corev1.ConfigMap) { inside.Data, inside.BinaryData = host.Data, host.BinaryData },
		fits: func(_, inside *corev1.ConfigMap) bool { return !ptr.Deref(inside.Immutable, false) },
	})
}

// mappedSecrets shows Secrets of the host inside. Of types that have controllers act inside, only the data are shown.
func (b *builder) mappedSecrets() {
	addMapped(b, b.Virtual.Secrets, func(all kubernetes.Interface) func(string) typedcorev1.SecretInterface { return all.CoreV1().Secrets }, mappedKind[*corev1.Secret]{
		copy: func(host, inside *corev1.Secret) {
			if inside.Data = host.Data; inside.UID == "" {
				inside.Type = hostSecretType(host.Type)
			}
		},
		fits: func(host, inside *corev1.Secret) bool {
			return !ptr.Deref(inside.Immutable, false) && inside.Type == hostSecretType(host.Type)
		},
	})
}

// mapped mirrors the objects of a kind that the VirtualCluster names.
type mapped[T engine.Object] struct {
	mappedKind[T]
	id string
	// sources are the host's objects, by the names inside.
	sources map[types.NamespacedName]source[T]
	// whole are namespaces of the host of which all objects are shown, by the namespaces inside.
	whole   map[string]*engine.Store[T]
	notices *notices
	// namespaces are those inside.
	namespaces *engine.Store[*corev1.Namespace]
}

// source is an object of the host, in the namespace of the store.
type source[T engine.Object] struct {
	store *engine.Store[T]
	name  string
}

func newMapped[T engine.Object](b *builder, kind mappedKind[T]) *mapped[T] {
	return &mapped[T]{mappedKind: kind, id: b.Translator.Cluster().ID, sources: map[types.NamespacedName]source[T]{},
		whole: map[string]*engine.Store[T]{}, notices: b.notices, namespaces: b.Virtual.Namespaces}
}

// add adds the controller, once all sources are known.
func (m *mapped[T]) add(b *builder, name string, inside *engine.Store[T], status func(T)) {
	controller := mirrored(b, &mirror[T]{name: "mapped-" + name, virtual: inside, fate: m.fate, apply: m.apply, status: status})
	for store, keys := range m.shownAs() {
		b.watch(controller, store.Informer(), keys)
	}
	b.watchEnds(controller, b.Virtual.Namespaces.Informer(), func(namespace any) []types.NamespacedName {
		return m.within(namespace.(*corev1.Namespace).Name)
	})
}

// shownAs are the names inside of an object of the host, by where it is read.
func (m *mapped[T]) shownAs() map[*engine.Store[T]]func(host any) []types.NamespacedName {
	byName, whole := map[*engine.Store[T]][]types.NamespacedName{}, map[*engine.Store[T]][]string{}
	for key, from := range m.sources {
		byName[from.store] = append(byName[from.store], key)
	}
	for namespace, store := range m.whole {
		whole[store] = append(whole[store], namespace)
	}
	as := map[*engine.Store[T]]func(any) []types.NamespacedName{}
	for store, keys := range byName {
		as[store] = func(any) []types.NamespacedName { return keys }
	}
	for store, namespaces := range whole {
		as[store] = func(host any) []types.NamespacedName {
			var keys []types.NamespacedName
			for _, namespace := range namespaces {
				keys = append(keys, types.NamespacedName{Namespace: namespace, Name: host.(metav1.Object).GetName()})
			}
			return keys
		}
	}
	return as
}

// within are the names in the namespace inside that have a source.
func (m *mapped[T]) within(namespace string) []types.NamespacedName {
	var keys []types.NamespacedName
	for key := range m.sources {
		if key.Namespace == namespace {
			keys = append(keys, key)
		}
	}
	if store := m.whole[namespace]; store != nil {
		for _, host := range store.List() {
			keys = append(keys, types.NamespacedName{Namespace: namespace, Name: host.GetName()})
		}
	}
	return keys
}

// addMapped adds the controller of the kind. The host is watched for each object by its name, for
// the syncer may be allowed no more. What was shown before goes.
func addMapped[C engine.Client[T, L], T engine.Object, L runtime.Object](b *builder, inside *engine.Store[T], client func(kubernetes.Interface) func(namespace string) C, kind mappedKind[T]) {
	m, stores := newMapped(b, kind), map[string]*engine.Store[T]{}
	for _, mapping := range b.Mappings {
		if mapping.Resource != inside.Resource().Resource {
			continue
		}
		if stores[mapping.Host] == nil {
			stores[mapping.Host] = engine.NewStore(b.Host.Informers, inside.Resource(), client(b.Host.Client), engine.StoreOptions{
				Namespace: b.Translator.Cluster().HostNamespace, FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, mapping.Host).String()})
		}
		m.sources[mapping.Inside] = source[T]{stores[mapping.Host], mapping.Host}
	}
	if len(m.sources) == 0 {
		shown := engine.NewStore(b.Virtual.Informers, inside.Resource(), client(b.Virtual.Client), engine.StoreOptions{LabelSelector: tenancyv1.LabelMapped + "=" + m.id})
		b.engine.AddTask(func(ctx context.Context) {
			engine.Clear(ctx, shown, func(object T) bool { return isShown(object, tenancyv1.LabelMapped, m.id) })
		})
		return
	}
	m.add(b, inside.Resource().Resource, inside, nil)
}

// host is the object of the host that is to be shown under the name.
func (m *mapped[T]) host(key types.NamespacedName) (T, bool) {
	if from, named := m.sources[key]; named {
		return from.store.Get(from.store.Namespace(), from.name)
	}
	if store := m.whole[key.Namespace]; store != nil {
		// What syncers made there stands for objects inside, of this virtual cluster or of others.
		if host, found := store.Get(store.Namespace(), key.Name); found && host.GetLabels()[tenancyv1.LabelCluster] == "" {
			return host, true
		}
	}
	var none T
	return none, false
}

// fate shows what the host has, and leaves alone what a tenant made under its name.
func (m *mapped[T]) fate(key types.NamespacedName, object T, found bool) (fate, error) {
	host, shown := m.host(key)
	switch namespace, there := m.namespaces.Get("", key.Namespace); {
	case found && !isShown(object, tenancyv1.LabelMapped, m.id):
		if shown {
			m.notices.tell(object, reasonMapped, fmt.Sprintf("The VirtualCluster shows an object of the host under this name. %s stays as it is, and hides the host's object until you delete it", key.Name))
		}
		return fate{kept: true}, nil
	case !there || namespace.DeletionTimestamp != nil:
		return fate{kept: true}, nil
	case !shown, found && !m.fits(host, object):
		return fate{}, nil // its deletion brings it back, where it is to be shown
	}
	return fate{shown: true}, nil
}

// apply makes an object inside what the host's is. Metadata of the host stay there.
func (m *mapped[T]) apply(object T) {
	host, shown := m.host(engine.KeyOf(object))
	if !shown {
		return // it is going
	}
	m.copy(host, object)
	show(object, tenancyv1.LabelMapped, m.id)
}

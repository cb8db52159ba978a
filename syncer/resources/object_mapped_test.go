// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// TestWhatReferencesName leads a reference to the host's object only while that is shown: a tenant
// means an object of their own by its name.
func TestWhatReferencesName(t *testing.T) {
	key := types.NamespacedName{Namespace: "default", Name: "shared"}
	marked := func(as string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{tenancyv1.LabelMapped: "0123456789"}, Annotations: map[string]string{annotationShownAs: as}}}
	}
	for name, test := range map[string]struct {
		host, inside *corev1.ConfigMap
		shown        bool
	}{
		"shown":                    {&corev1.ConfigMap{}, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{tenancyv1.LabelMapped: "0123456789"}}}, true},
		"about to be shown":        {&corev1.ConfigMap{}, nil, true},
		"the tenant has their own": {&corev1.ConfigMap{}, &corev1.ConfigMap{}, false},
		"another one's mark":       {&corev1.ConfigMap{}, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{tenancyv1.LabelMapped: "other"}}}, false},
		"a copy with its mark":     {&corev1.ConfigMap{}, marked("default/other"), false},
		"shown by this name":       {&corev1.ConfigMap{}, marked("default/shared"), true},
		"not on the host":          {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := func(object *corev1.ConfigMap, namespace, name string) *engine.Store[*corev1.ConfigMap] {
				store := NewVirtual(fake.NewClientset()).ConfigMaps
				store.Follow()
				if object != nil {
					object.Namespace, object.Name = namespace, name
					if err := store.Indexer().Add(object); err != nil {
						t.Fatal(err)
					}
				}
				return store
			}
			inside := store(test.inside, key.Namespace, key.Name)
			m := &mapped[*corev1.ConfigMap]{id: "0123456789", sources: map[types.NamespacedName]source[*corev1.ConfigMap]{key: {store(test.host, "", "gateway"), "gateway"}}}
			named, shown := m.hostName(inside, key)
			if shown != test.shown || shown && named.Name != "gateway" {
				t.Errorf("got %s, shown: %t; want shown: %t", named, shown, test.shown)
			}
		})
	}
}

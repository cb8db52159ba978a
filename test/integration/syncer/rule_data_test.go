// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestCustomKindThatKeepsData has objects by a rule hold data, and loses what is inside: by
// accident, by an attack on what marks the data, and by the end of the rule.
func TestCustomKindThatKeepsData(t *testing.T) {
	s := setUp(t)
	s.stop()
	s.keepsData = true
	s.start()
	each := newSubject(t, s, &kind{GroupVersionResource: widgets, kind: "Widget"})
	make := func(name string, spec fields) *unstructured.Unstructured {
		made, err := each.inside.Create(t.Context(), widgetOf(name, spec), metav1.CreateOptions{})
		each.must(err)
		return made
	}
	twin := func(name string, of types.UID) *unstructured.Unstructured {
		return each.awaitHost(name, "is on the host", func(host *unstructured.Unstructured) bool {
			return host.GetAnnotations()[tenancyv1.AnnotationVirtualUID] == string(of)
		})
	}
	kept := func(name string, before *unstructured.Unstructured) {
		t.Helper()
		host := each.awaitHost(name, "is kept", func(host *unstructured.Unstructured) bool { return host.GetLabels()[tenancyv1.LabelOrphan] != "" })
		if host.GetUID() != before.GetUID() || host.GetDeletionTimestamp() != nil {
			t.Errorf("%s on the host: got %s, deleted %v; want %s as it was", name, host.GetUID(), host.GetDeletionTimestamp(), before.GetUID())
		}
	}
	// lose has the API server inside forget the object while nobody sees it.
	lose := func(name string) {
		t.Helper()
		_, err := each.inside.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		s.must(err)
		s.must(each.inside.Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	gone := func(what string, name string) {
		t.Helper()
		framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
			_, err := each.inside.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}

	first := make("db", fields{"size": int64(7), "parts": []any{fields{"name": "a", "note": "stays"}}})
	plain := make("named", fields{"size": int64(8), "secretName": "keys"})
	data, named := twin("db", first.GetUID()), twin("named", plain.GetUID())
	found, err := each.inside.Get(t.Context(), "db", metav1.GetOptions{})
	s.must(err)
	if !slices.Contains(found.GetFinalizers(), tenancyv1.FinalizerData) || len(data.GetOwnerReferences()) > 0 {
		t.Errorf("got finalizers %v inside and owners %v on the host, want %s and none", found.GetFinalizers(), data.GetOwnerReferences(), tenancyv1.FinalizerData)
	}
	s.stop()
	lose("db")
	lose("named")
	s.start()
	kept("db", data)
	kept("named", named)

	// Another object of the name gets neither the data, nor the power to delete them.
	other := make("db", fields{"size": int64(1)})
	if message := each.awaitEvent(other.GetUID(), "HostDataKept"); !strings.Contains(message, data.GetName()) {
		t.Errorf("event: got %q, want the host object named", message)
	}
	s.must(each.inside.Delete(t.Context(), "db", metav1.DeleteOptions{}))
	gone("the object of the same name is gone", "db")
	kept("db", data)

	// What names others cannot be made again, and one inside that waits can have its data.
	err = s.engine.Recover(t.Context(), tenancyv1.RecoverAdopt)
	if err == nil || !strings.Contains(err.Error(), "spec.secretName") || strings.Contains(err.Error(), "/db") {
		t.Errorf("adopted: got %v, want what keeps one, and nothing of the other", err)
	}
	found, err = each.inside.Get(t.Context(), "db", metav1.GetOptions{})
	s.must(err)
	spec := found.Object["spec"].(fields)
	if size, _, _ := unstructured.NestedInt64(found.Object, "spec", "size"); size != 7 || len(spec) != 2 || !slices.Contains(found.GetFinalizers(), tenancyv1.FinalizerData) {
		t.Errorf("made again inside: got %v with %v, want the size, the parts, and a finalizer", spec, found.GetFinalizers())
	}
	waiting := make("named", fields{"size": int64(8), "secretName": "keys"})
	each.awaitEvent(waiting.GetUID(), "HostDataKept")
	s.must(s.engine.Recover(t.Context(), tenancyv1.RecoverAdopt))
	if again := twin("named", waiting.GetUID()); again.GetUID() != named.GetUID() {
		t.Errorf("adopted: got %s on the host, want the object with the data, %s", again.GetUID(), named.GetUID())
	}

	// A deletion that is seen takes the data along, and comes first on the host.
	s.must(each.inside.Delete(t.Context(), "named", metav1.DeleteOptions{}))
	gone("it is deleted inside", "named")
	if _, err := each.onHost.Get(t.Context(), each.hostName("named"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("on the host after its deletion inside: got %v, want nothing", err)
	}

	// Without a rule nobody holds up what is inside, and nobody deletes what is on the host.
	s.stop()
	s.released = true
	s.start()
	framework.Eventually(t, "the object inside is let go", func(ctx context.Context) (bool, error) {
		found, err := each.inside.Get(ctx, "db", metav1.GetOptions{})
		return err == nil && len(found.GetFinalizers()) == 0, err
	})
	s.must(each.inside.Delete(t.Context(), "db", metav1.DeleteOptions{}))
	gone("it is gone inside", "db")
	s.stop()
	s.released = false
	s.start()
	kept("db", data)
	s.must(s.engine.Recover(t.Context(), tenancyv1.RecoverGiveUp))
	framework.Eventually(t, "what was given up is gone from the host", func(ctx context.Context) (bool, error) {
		_, err := each.onHost.Get(ctx, each.hostName("db"), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

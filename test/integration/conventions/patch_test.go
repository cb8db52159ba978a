// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func patchChecks() []check {
	return []check{
		{"json-patch", "a JSON patch tests, adds, replaces and removes; a failed test changes nothing", nil, jsonPatch},
		{"merge-patch", "a merge patch sets what it names, removes what is null, and replaces lists", nil, mergePatch},
		{"strategic-patch", "a strategic merge patch does the same, and merges what has a key", nil, strategicPatch},
		{"strategic-lists", "a strategic merge patch and server-side apply merge a keyed list of the spec", []need{aListMap}, strategicLists},
		{"strategic-free-form", "a strategic merge patch replaces as a whole what is free in its form, and a merge patch merges it", []need{aFreeForm}, strategicFreeForm},
		{"patch-media-types", "another media type of a patch is 415", nil, patchMediaTypes},
		{"patch-malformed", "a patch that is no JSON is 400", nil, malformedPatch},
		{"patch-too-much", "a JSON patch of more than 10,000 operations is 413", nil, longPatch},
	}
}

func (s *subject) patch(kind types.PatchType, patch any) (*unstructured.Unstructured, error) {
	return s.in.Patch(s.Context(), s.name("a"), kind, body(patch), metav1.PatchOptions{})
}

func jsonPatch(s *subject) {
	s.create("a")
	pointer := "/" + strings.Join(s.path, "/")
	// The parents of the field may not be there.
	_, err := s.patch(types.MergePatchType, at(s.variant(1), s.path...))
	s.must(err)
	got, err := s.patch(types.JSONPatchType, []fields{
		{"op": "test", "path": pointer, "value": s.variant(1)},
		{"op": "replace", "path": pointer, "value": s.variant(2)},
		{"op": "add", "path": "/metadata/labels/a", "value": "b"},
	})
	s.must(err)
	s.holds(got, 2)
	if got.GetLabels()["a"] != "b" {
		s.Error("the label was not added")
	}
	_, err = s.patch(types.JSONPatchType, []fields{
		{"op": "remove", "path": "/metadata/labels/a"},
		{"op": "test", "path": pointer, "value": s.variant(7)},
	})
	s.fails("failed test", err, apierrors.IsInvalid)
	got = s.get("a")
	s.holds(got, 2)
	if got.GetLabels()["a"] != "b" {
		s.Error("half of a patch was done")
	}
	_, err = s.patch(types.JSONPatchType, []fields{{"op": "remove", "path": "/spec/nowhere"}})
	s.fails("removing what is not there", err, apierrors.IsInvalid)
}

func mergePatch(s *subject) {
	s.create("a")
	got, err := s.patch(types.MergePatchType, at(s.variant(1), s.path...))
	s.must(err)
	s.holds(got, 1)
	got, err = s.patch(types.MergePatchType, fields{"metadata": fields{"annotations": fields{"a": "b", "c": "d"}}})
	s.must(err)
	got, err = s.patch(types.MergePatchType, fields{"metadata": fields{"annotations": fields{"a": nil}}})
	s.must(err)
	if a := got.GetAnnotations(); a["a"] != "" || a["c"] != "d" {
		s.Errorf("annotations: got %v, want c alone", a)
	}
	got, err = s.patch(types.MergePatchType, at(nil, s.path...))
	s.must(err)
	if value, found, _ := unstructured.NestedFieldNoCopy(got.Object, s.path...); found {
		s.Errorf("null: got %v, want the field gone", value)
	}
}

func strategicPatch(s *subject) {
	s.create("a")
	got, err := s.patch(types.StrategicMergePatchType, at(s.variant(1), s.path...))
	s.must(err)
	s.holds(got, 1)
	for _, finalizer := range []string{"example.com/one", "example.com/two"} {
		got, err = s.patch(types.StrategicMergePatchType, fields{"metadata": fields{"finalizers": []any{finalizer}}})
		s.must(err)
	}
	if len(got.GetFinalizers()) != 2 {
		s.Errorf("finalizers: got %v, want both", got.GetFinalizers())
	}
	got, err = s.patch(types.StrategicMergePatchType, fields{"metadata": fields{
		"$deleteFromPrimitiveList/finalizers": []any{"example.com/one", "example.com/two"}}})
	s.must(err)
	if len(got.GetFinalizers()) != 0 {
		s.Errorf("finalizers: got %v, want none", got.GetFinalizers())
	}
}

func strategicLists(s *subject) {
	length := func(what string, object *unstructured.Unstructured, err error) {
		s.Helper()
		s.must(err)
		if list, _, _ := unstructured.NestedSlice(object.Object, s.mergedPath...); len(list) != 2 {
			s.Errorf("%s: got %v, want both elements", what, list)
		}
	}
	reset := func() {
		s.Helper()
		_, err := s.patch(types.MergePatchType, fields{"spec": s.merged[0]})
		s.must(err)
	}
	s.create("a")
	reset()
	got, err := s.patch(types.StrategicMergePatchType, fields{"spec": s.merged[1]})
	length("strategic merge patch", got, err)
	reset()
	object := s.object("a")
	object.Object["spec"] = s.merged[1]
	got, err = s.in.Apply(s.Context(), s.name("a"), object, metav1.ApplyOptions{FieldManager: "one", Force: true})
	length("apply", got, err)
}

func strategicFreeForm(s *subject) {
	s.create("a")
	want, _, _ := unstructured.NestedFieldNoCopy(fields{"spec": s.free[1]}, s.freePath...)
	_, err := s.patch(types.MergePatchType, fields{"spec": s.free[0]})
	s.must(err)
	got, err := s.patch(types.StrategicMergePatchType, fields{"spec": s.free[1]})
	s.must(err)
	if found, _, _ := unstructured.NestedFieldNoCopy(got.Object, s.freePath...); text(found) != text(want) {
		s.Errorf("%v: got %s, want %s", s.freePath, text(found), text(want))
	}
	// So kubectl apply, which makes such patches, can change it without a word.
	for _, spec := range s.free {
		object := s.object("b")
		object.Object["spec"] = spec
		if said, err := s.kubectl().Input(text(object.Object)).Output("apply", "-f", "-"); err != nil || strings.Contains(strings.ToLower(said), "warning") {
			s.Errorf("kubectl apply: got %q, %v; want no warning", said, err)
		}
	}
	s.Cleanup(func() { s.clear(s.name("b")) })
	if found, _, _ := unstructured.NestedFieldNoCopy(s.get("b").Object, s.freePath...); text(found) != text(want) {
		s.Errorf("kubectl apply: got %s, want %s", text(found), text(want))
	}
}

func patchMediaTypes(s *subject) {
	s.create("a")
	s.refused("application/json", http.StatusUnsupportedMediaType,
		s.send("PATCH", s.url("a"), []byte(`{}`), "Content-Type", "application/json"))
}

func malformedPatch(s *subject) {
	s.create("a")
	for _, kind := range []types.PatchType{types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType, types.ApplyYAMLPatchType} {
		s.refused(string(kind), http.StatusBadRequest, s.send("PATCH", s.url("a")+"?fieldManager=m", []byte(`{"a":`), "Content-Type", string(kind)))
	}
}

func longPatch(s *subject) {
	s.create("a")
	operations := make([]fields, 10_001)
	for i := range operations {
		operations[i] = fields{"op": "add", "path": "/metadata/labels/a", "value": "b"}
	}
	s.refused("patch", http.StatusRequestEntityTooLarge, s.send("PATCH", s.url("a"), body(operations), "Content-Type", string(types.JSONPatchType)))
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"bytes"
	"encoding/json"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

func applyChecks() []check {
	return []check{
		{"apply-creates", "server-side apply makes what is not there, and its manager owns what it said", []need{several}, applyCreates},
		{"apply-conflict", "a field of another manager is a conflict that names both", nil, applyConflict},
		{"apply-force", "force takes the field over", nil, applyForce},
		{"apply-shared", "who applies the same value shares the field", nil, applyShared},
		{"apply-gives-up", "a field that its only manager leaves out is removed", nil, applyGivesUp},
		{"apply-idempotent", "applying the same again changes nothing", nil, applyIdempotent},
		{"apply-reset", "fields that a path does not write stand in no managedFields of it", []need{aStatus}, applyReset},
		{"apply-manager", "apply without a field manager is 422", nil, applyWithoutManager},
		{"apply-version", "apply with another resourceVersion is 409", nil, applyWithVersion},
		{"apply-managed-fields", "apply of managedFields is 400", nil, applyManagedFields},
		{"managed-fields", "an update is entered under its manager, and an empty list clears them all", nil, managedFields},
	}
}

// apply applies the variant of this number.
func (s *subject) apply(manager string, number int, force bool) (*unstructured.Unstructured, error) {
	return s.in.Apply(s.Context(), s.name("a"), s.varied("a", number), metav1.ApplyOptions{FieldManager: manager, Force: force})
}

// owns tells whether a manager owns the variant's field by the operation given.
func (s *subject) owns(object *unstructured.Unstructured, manager string, operation metav1.ManagedFieldsOperationType) bool {
	s.Helper()
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == manager && entry.Operation == operation && s.covers(entry, s.path...) {
			return true
		}
	}
	return false
}

// covers tells whether an entry of managedFields has the field.
func (s *subject) covers(entry metav1.ManagedFieldsEntry, path ...string) bool {
	s.Helper()
	set := &fieldpath.Set{}
	if entry.FieldsV1 == nil {
		return false
	}
	raw, err := json.Marshal(entry.FieldsV1)
	s.must(err)
	s.must(set.FromJSON(bytes.NewReader(raw)))
	found := false
	set.Iterate(func(p fieldpath.Path) {
		matches := len(p) >= len(path)
		for i := range path {
			matches = matches && p[i].FieldName != nil && *p[i].FieldName == path[i]
		}
		found = found || matches
	})
	return found
}

func applyCreates(s *subject) {
	got, err := s.apply("one", 1, false)
	s.must(err)
	s.Cleanup(func() { s.clear(s.name("a")) })
	s.holds(got, 1)
	if !s.owns(got, "one", metav1.ManagedFieldsOperationApply) {
		s.Errorf("managedFields: got %+v, want one to own %v", got.GetManagedFields(), s.path)
	}
	code := s.send("PATCH", s.url("b")+"?fieldManager=one", body(s.object("b")), "Content-Type", string(types.ApplyYAMLPatchType))
	s.expect(http.StatusCreated, code)
	s.clear(s.name("b"))
}

func applyConflict(s *subject) {
	s.create("a")
	_, err := s.apply("one", 1, true)
	s.must(err)
	_, err = s.apply("two", 2, false)
	s.fails("another's field", err, apierrors.IsConflict, `conflict with "one"`)
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 ||
		status.Status().Details.Causes[0].Type != metav1.CauseTypeFieldManagerConflict {
		s.Errorf("got %#v, want a cause FieldManagerConflict", err)
	}
	s.holds(s.get("a"), 1)
}

func applyForce(s *subject) {
	s.create("a")
	_, err := s.apply("one", 1, true)
	s.must(err)
	got, err := s.apply("two", 2, true)
	s.must(err)
	s.holds(got, 2)
	if s.owns(got, "one", metav1.ManagedFieldsOperationApply) || !s.owns(got, "two", metav1.ManagedFieldsOperationApply) {
		s.Errorf("managedFields: got %+v, want two alone to own %v", got.GetManagedFields(), s.path)
	}
}

func applyShared(s *subject) {
	s.create("a")
	_, err := s.apply("one", 1, true)
	s.must(err)
	got, err := s.apply("two", 1, false)
	s.must(err)
	if !s.owns(got, "one", metav1.ManagedFieldsOperationApply) || !s.owns(got, "two", metav1.ManagedFieldsOperationApply) {
		s.Errorf("managedFields: got %+v, want both to own %v", got.GetManagedFields(), s.path)
	}
}

func applyGivesUp(s *subject) {
	s.create("a")
	_, err := s.apply("one", 1, true)
	s.must(err)
	_, err = s.apply("two", 1, false)
	s.must(err)
	leave := func(manager string) *unstructured.Unstructured {
		s.Helper()
		got, err := s.in.Apply(s.Context(), s.name("a"), s.object("a"), metav1.ApplyOptions{FieldManager: manager, Force: true})
		s.must(err)
		return got
	}
	s.holds(leave("one"), 1) // two still wants it
	got := leave("two")
	if value, found, _ := unstructured.NestedFieldNoCopy(got.Object, s.path...); found {
		s.Errorf("nobody wants it: got %v, want the field gone", value)
	}
}

func applyIdempotent(s *subject) {
	s.create("a")
	first, err := s.apply("one", 1, true)
	s.must(err)
	second, err := s.apply("one", 1, false)
	s.must(err)
	if first.GetResourceVersion() != second.GetResourceVersion() {
		s.Errorf("got resourceVersion %s, want %s", second.GetResourceVersion(), first.GetResourceVersion())
	}
}

func applyReset(s *subject) {
	s.create("a")
	object := s.varied("a", 1)
	object.Object["status"] = fields{"observedGeneration": int64(5)}
	got, err := s.in.Apply(s.Context(), s.name("a"), object, metav1.ApplyOptions{FieldManager: "main", Force: true})
	s.must(err)
	object.SetAnnotations(map[string]string{"from": "status"})
	s.vary(object, 2)
	got, err = s.in.ApplyStatus(s.Context(), s.name("a"), object, metav1.ApplyOptions{FieldManager: "status", Force: true})
	s.must(err)
	s.holds(got, 1)
	for _, entry := range got.GetManagedFields() {
		switch entry.Manager {
		case "main":
			if s.covers(entry, "status") || !s.covers(entry, s.path...) {
				s.Errorf("main: got %s, want its part of the spec and no status", entry.FieldsV1)
			}
		case "status":
			if s.covers(entry, "spec") || s.covers(entry, "metadata", "labels") || s.covers(entry, "metadata", "annotations") ||
				!s.covers(entry, "status", "observedGeneration") {
				s.Errorf("status: got %s, want its part of the status and nothing else", entry.FieldsV1)
			}
		}
	}
	s.reset()
}

func applyWithoutManager(s *subject) {
	s.create("a")
	s.refused("apply", http.StatusUnprocessableEntity,
		s.send("PATCH", s.url("a"), body(s.object("a")), "Content-Type", string(types.ApplyYAMLPatchType)), "fieldManager")
}

func applyWithVersion(s *subject) {
	stale := s.create("a").GetResourceVersion()
	_, err := s.apply("one", 1, true)
	s.must(err)
	object := s.varied("a", 2)
	object.SetResourceVersion(stale)
	_, err = s.in.Apply(s.Context(), s.name("a"), object, metav1.ApplyOptions{FieldManager: "one"})
	s.fails("stale", err, apierrors.IsConflict)
}

func applyManagedFields(s *subject) {
	object := s.create("a")
	s.refused("apply", http.StatusBadRequest,
		s.send("PATCH", s.url("a")+"?fieldManager=one", body(object), "Content-Type", string(types.ApplyYAMLPatchType)), "metadata.managedFields")
}

func managedFields(s *subject) {
	s.create("a")
	object := s.get("a")
	s.vary(object, 1)
	got, err := s.in.Update(s.Context(), object, metav1.UpdateOptions{FieldManager: "editor"})
	s.must(err)
	if !s.owns(got, "editor", metav1.ManagedFieldsOperationUpdate) {
		s.Errorf("got %+v, want the editor to own %v", got.GetManagedFields(), s.path)
	}
	got, err = s.patch(types.MergePatchType, fields{"metadata": fields{"managedFields": []any{fields{}}}})
	s.must(err)
	if len(got.GetManagedFields()) != 0 {
		s.Errorf("cleared: got %+v, want none", got.GetManagedFields())
	}
	got, err = s.apply("one", 2, true)
	s.must(err)
	if !s.owns(got, "one", metav1.ManagedFieldsOperationApply) {
		s.Errorf("applied thereafter: got %+v, want one to own %v", got.GetManagedFields(), s.path)
	}
}

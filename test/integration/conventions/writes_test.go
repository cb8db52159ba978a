// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func writeChecks() []check {
	return []check{
		{"conflict", "an update with a resourceVersion that is not the last is 409", nil, conflict},
		{"conflict-first", "a stale update is 409 whatever else is wrong with it, since that may be what has changed", nil, conflictFirst},
		{"unconditional-update", "an update without a resourceVersion overwrites", nil, unconditional},
		{"put-creates-not", "PUT to a name that is not there is 404", []need{several}, putCreatesNot},
		{"no-op", "a write that changes nothing keeps the resourceVersion", nil, noOp},
		{"generation", "metadata.generation goes up with each change of the spec and with nothing else", nil, generation},
		{"system-metadata", "uid and creationTimestamp cannot be changed; another uid is 409", nil, systemMetadata},
		{"status-not-writable", "the status cannot be written through the main resource", []need{aStatus}, statusNotThroughMain},
		{"strict-fields", "fieldValidation=Strict refuses unknown and duplicate fields by name", []need{several}, strictFields},
		{"warned-fields", "fieldValidation=Warn, which is what is done by default, warns of them", []need{several}, warnedFields},
		{"ignored-fields", "fieldValidation=Ignore drops them", []need{several}, ignoredFields},
		{"unknown-field-validation", "another fieldValidation is 422", nil, otherFieldValidation},
	}
}

func conflict(s *subject) {
	stale := s.create("a")
	fresh := stale.DeepCopy()
	s.vary(fresh, 1)
	_, err := s.in.Update(s.Context(), fresh, metav1.UpdateOptions{})
	s.must(err)
	s.vary(stale, 2)
	_, err = s.in.Update(s.Context(), stale, metav1.UpdateOptions{})
	s.fails("stale update", err, apierrors.IsConflict, "the object has been modified")
	_, err = s.in.Patch(s.Context(), s.name("a"), types.MergePatchType,
		body(fields{"metadata": fields{"resourceVersion": stale.GetResourceVersion(), "labels": fields{"a": "b"}}}), metav1.PatchOptions{})
	s.fails("stale patch", err, apierrors.IsConflict)
	s.holds(s.get("a"), 1)
}

func conflictFirst(s *subject) {
	stale := s.create("a")
	fresh := stale.DeepCopy()
	s.vary(fresh, 1)
	_, err := s.in.Update(s.Context(), fresh, metav1.UpdateOptions{})
	s.must(err)
	for field, spec := range s.refusals() {
		object := s.with("a", spec)
		object.SetResourceVersion(stale.GetResourceVersion())
		_, err = s.in.Update(s.Context(), object, metav1.UpdateOptions{})
		s.fails(field, err, apierrors.IsConflict, "the object has been modified")
	}
}

func unconditional(s *subject) {
	s.create("a")
	object := s.varied("a", 1)
	if object.GetResourceVersion() != "" {
		s.Fatal("the object must have no resourceVersion")
	}
	got, err := s.in.Update(s.Context(), object, metav1.UpdateOptions{})
	s.must(err)
	s.holds(got, 1)
}

func putCreatesNot(s *subject) {
	_, err := s.in.Update(s.Context(), s.object("a"), metav1.UpdateOptions{})
	s.fails("update", err, apierrors.IsNotFound)
	s.missing("a")
}

func noOp(s *subject) {
	before := s.create("a")
	after, err := s.in.Update(s.Context(), before, metav1.UpdateOptions{FieldManager: "creator"})
	s.must(err)
	if after.GetResourceVersion() != before.GetResourceVersion() {
		s.Errorf("update: got resourceVersion %s, want %s", after.GetResourceVersion(), before.GetResourceVersion())
	}
	after, err = s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
	s.must(err)
	if after.GetResourceVersion() != before.GetResourceVersion() {
		s.Errorf("patch: got resourceVersion %s, want %s", after.GetResourceVersion(), before.GetResourceVersion())
	}
}

func generation(s *subject) {
	begin := s.create("a").GetGeneration()
	step := func(what string, patch fields, want int64, subresources ...string) {
		s.Helper()
		got, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(patch), metav1.PatchOptions{}, subresources...)
		s.must(err)
		if got.GetGeneration()-begin != want {
			s.Errorf("%s: the generation went up by %d, want %d", what, got.GetGeneration()-begin, want)
		}
	}
	step("a label", fields{"metadata": fields{"labels": fields{"a": "b"}}}, 0)
	step("an annotation", fields{"metadata": fields{"annotations": fields{"a": "b"}}}, 0)
	step("a finalizer", fields{"metadata": fields{"finalizers": []any{"example.com/f"}}}, 0)
	step("a generation of the client's", fields{"metadata": fields{"generation": 77}}, 0)
	step("the spec", at(s.variant(1), s.path...), 1)
	step("the same spec", at(s.variant(1), s.path...), 1)
	step("the spec again", at(s.variant(2), s.path...), 2)
	if s.status {
		step("the status", at(int64(3), "status", "observedGeneration"), 2, "status")
	}
	step("no finalizer", fields{"metadata": fields{"finalizers": nil}}, 2)
}

func systemMetadata(s *subject) {
	object := s.create("a")
	other := object.DeepCopy()
	other.SetUID("00000000-0000-4000-8000-000000000000")
	_, err := s.in.Update(s.Context(), other, metav1.UpdateOptions{})
	s.fails("another uid", err, apierrors.IsConflict, "UID")
	later := object.DeepCopy()
	later.SetCreationTimestamp(metav1.Now())
	unstructured.RemoveNestedField(later.Object, "metadata", "uid")
	got, err := s.in.Update(s.Context(), later, metav1.UpdateOptions{})
	s.must(err)
	if !got.GetCreationTimestamp().Time.Equal(object.GetCreationTimestamp().Time) || got.GetUID() != object.GetUID() {
		s.Errorf("got uid %s of %s, want them as they were", got.GetUID(), got.GetCreationTimestamp())
	}
}

func statusNotThroughMain(s *subject) {
	forged := at(int64(77), "status", "observedGeneration")["status"]
	made := s.create("a", func(o *unstructured.Unstructured) { o.Object["status"] = forged })
	seen := func(what string, o *unstructured.Unstructured) {
		s.Helper()
		if got, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration"); got == 77 {
			s.Errorf("%s: the status was written", what)
		}
	}
	seen("create", made)
	object := s.get("a")
	s.must(unstructured.SetNestedField(object.Object, int64(77), "status", "observedGeneration"))
	got, err := s.in.Update(s.Context(), object, metav1.UpdateOptions{})
	s.must(err)
	seen("update", got)
	got, err = s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(fields{"status": forged}), metav1.PatchOptions{})
	s.must(err)
	seen("patch", got)
}

// misspelt has an unknown field, and one that is given twice.
func (s *subject) misspelt() []byte {
	object := s.object("a")
	s.must(unstructured.SetNestedField(object.Object, "x", "spec", "mispelt"))
	content := text(object.Object)
	return []byte(content[:len(content)-1] + `,"kind":"` + s.kind.kind + `"}`)
}

func strictFields(s *subject) {
	s.refused("create", http.StatusBadRequest, s.send("POST", s.collection()+"?fieldValidation=Strict", s.misspelt()),
		`unknown field "spec.mispelt"`, `duplicate field "kind"`)
	s.missing("a")
	s.create("b")
	patch := body(fields{"spec": fields{"mispelt": "x"}})
	for _, kind := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType} {
		s.refused(string(kind), http.StatusUnprocessableEntity, s.send("PATCH", s.url("b")+"?fieldValidation=Strict", patch, "Content-Type", string(kind)), "spec.mispelt")
	}
}

func warnedFields(s *subject) {
	for query, warnings := range map[string]int{"?fieldValidation=Warn&dryRun=All": 2, "?dryRun=All": 2} {
		got := s.expect(http.StatusCreated, s.send("POST", s.collection()+query, s.misspelt()))
		if texts := got.header.Values("Warning"); len(texts) != warnings {
			s.Errorf("%s: got warnings %q, want %d", query, texts, warnings)
		}
	}
}

func ignoredFields(s *subject) {
	got := s.expect(http.StatusCreated, s.send("POST", s.collection()+"?fieldValidation=Ignore&dryRun=All", s.misspelt()))
	if texts := got.header.Values("Warning"); len(texts) != 0 {
		s.Errorf("got warnings %q, want none", texts)
	}
	if _, found, _ := unstructured.NestedFieldNoCopy(s.decoded(got).Object, "spec", "mispelt"); found {
		s.Error("the unknown field was kept")
	}
}

func otherFieldValidation(s *subject) {
	s.refused("create", http.StatusUnprocessableEntity, s.send("POST", s.collection()+"?fieldValidation=Never", body(s.object("a"))), "fieldValidation")
}

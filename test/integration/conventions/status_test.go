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

func statusChecks() []check {
	return []check{
		{"status-apart", "through /status only the status is written", []need{aStatus}, statusApart},
		{"status-read", "/status is read as the whole object", []need{aStatus}, statusRead},
		{"status-conflict", "/status knows stale writes", []need{aStatus}, statusConflict},
		{"status-invalid", "a condition that breaks the rules is 422 with its path", []need{aStatus}, statusInvalid},
		{"status-verbs", "/status knows get, update and patch; another method is 405", []need{aStatus}, statusVerbs},
		{"status-dry-run", "/status can be tried", []need{aStatus}, statusDryRun},
		{"status-merge", "a strategic merge patch of the conditions merges them by type", []need{aStatus}, statusMerge},
		{"status-apply", "two managers apply a condition each, and each can take back its own", []need{aStatus}, statusApply},
		{"status-apply-creates-not", "applying a status to what is not there is 404", []need{aStatus, several}, statusApplyCreatesNot},
		{"no-status", "a kind without a status has no /status: 404", []need{noStatus}, withoutStatus},
	}
}

// conditioned is a condition as a status has it.
func conditioned(kind string) fields {
	return fields{"type": kind, "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
}

// conditions are the types of an object's conditions.
func conditions(object *unstructured.Unstructured) map[string]bool {
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	types := map[string]bool{}
	for _, each := range list {
		types[each.(fields)["type"].(string)] = true
	}
	return types
}

// reset brings the status to what a new object has, for kinds of one object.
func (s *subject) reset() {
	s.Helper()
	_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType,
		body(fields{"status": fields{"conditions": nil, "observedGeneration": nil}}), metav1.PatchOptions{}, "status")
	s.must(err)
}

func statusApart(s *subject) {
	object := s.create("a")
	object.SetLabels(map[string]string{"from": "status"})
	object.SetAnnotations(map[string]string{"from": "status"})
	object.SetFinalizers([]string{"example.com/from-status"})
	object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "y"}})
	s.vary(object, 1)
	s.must(unstructured.SetNestedField(object.Object, int64(7), "status", "observedGeneration"))
	got, err := s.in.UpdateStatus(s.Context(), object, metav1.UpdateOptions{})
	s.must(err)
	if observed, _, _ := unstructured.NestedInt64(got.Object, "status", "observedGeneration"); observed != 7 {
		s.Errorf("got observedGeneration %d, want 7", observed)
	}
	value, found, _ := unstructured.NestedFieldNoCopy(got.Object, s.path...)
	if found && text(value) == text(s.variant(1)) {
		s.Error("the spec was written")
	}
	if got.GetLabels()["from"] != "" || len(got.GetAnnotations())+len(got.GetFinalizers())+len(got.GetOwnerReferences()) != 0 {
		s.Errorf("got %v, want the metadata as it was", got.Object["metadata"])
	}
}

func statusRead(s *subject) {
	made := s.create("a")
	got := s.decoded(s.expect(http.StatusOK, s.send("GET", s.url("a")+"/status", nil)))
	if got.GetUID() != made.GetUID() || got.Object["spec"] == nil {
		s.Errorf("got %v, want the whole object", got.Object)
	}
}

func statusConflict(s *subject) {
	stale := s.create("a")
	_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(at(s.variant(1), s.path...)), metav1.PatchOptions{})
	s.must(err)
	s.must(unstructured.SetNestedField(stale.Object, int64(7), "status", "observedGeneration"))
	_, err = s.in.UpdateStatus(s.Context(), stale, metav1.UpdateOptions{})
	s.fails("stale status", err, apierrors.IsConflict)
}

func statusInvalid(s *subject) {
	s.create("a")
	twice := []any{conditioned(s.condition), conditioned(s.condition)}
	untrue := conditioned(s.condition)
	untrue["status"] = "Yes"
	unreasoned := conditioned(s.condition)
	unreasoned["reason"] = ""
	for path, list := range map[string][]any{
		"status.conditions[1]": twice, "status.conditions[0].status": {untrue}, "status.conditions[0].reason": {unreasoned},
	} {
		_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(fields{"status": fields{"conditions": list}}), metav1.PatchOptions{}, "status")
		s.fails(path, err, apierrors.IsInvalid, path)
		s.caused(err, path)
	}
	_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(fields{"status": fields{"observedGeneration": -1}}), metav1.PatchOptions{}, "status")
	s.fails("negative", err, apierrors.IsInvalid, "status.observedGeneration")
}

func statusVerbs(s *subject) {
	object := s.create("a")
	s.refused("POST", http.StatusMethodNotAllowed, s.send("POST", s.url("a")+"/status", body(object)))
	s.refused("DELETE", http.StatusMethodNotAllowed, s.send("DELETE", s.url("a")+"/status", nil))
}

func statusDryRun(s *subject) {
	before := s.create("a")
	_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(at(int64(9), "status", "observedGeneration")),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, "status")
	s.must(err)
	if got := s.get("a"); got.GetResourceVersion() != before.GetResourceVersion() {
		s.Error("the status was kept")
	}
}

func statusMerge(s *subject) {
	s.create("a")
	s.reset()
	for _, kind := range []string{s.condition, "Other"} {
		_, err := s.in.Patch(s.Context(), s.name("a"), types.StrategicMergePatchType,
			body(fields{"status": fields{"conditions": []any{conditioned(kind)}}}), metav1.PatchOptions{}, "status")
		s.must(err)
	}
	if got := conditions(s.get("a")); len(got) != 2 {
		s.Errorf("got %v, want %s and Other", got, s.condition)
	}
	got, err := s.in.Patch(s.Context(), s.name("a"), types.StrategicMergePatchType,
		body(fields{"status": fields{"conditions": []any{fields{"$patch": "delete", "type": "Other"}}}}), metav1.PatchOptions{}, "status")
	s.must(err)
	if types := conditions(got); types["Other"] || !types[s.condition] {
		s.Errorf("after the delete directive: got %v, want only %s", types, s.condition)
	}
}

func statusApply(s *subject) {
	s.create("a")
	s.reset()
	apply := func(manager string, kinds ...string) *unstructured.Unstructured {
		s.Helper()
		list := make([]any, 0, len(kinds))
		for _, kind := range kinds {
			list = append(list, conditioned(kind))
		}
		object := s.object("a")
		delete(object.Object, "spec")
		object.SetLabels(nil)
		object.Object["status"] = fields{"conditions": list}
		got, err := s.in.ApplyStatus(s.Context(), s.name("a"), object, metav1.ApplyOptions{FieldManager: manager})
		s.must(err)
		return got
	}
	apply("one", "One")
	if got := conditions(apply("two", "Two")); !got["One"] || !got["Two"] {
		s.Errorf("after both applied: got %v, want One and Two", got)
	}
	got := apply("one")
	if types := conditions(got); types["One"] || !types["Two"] {
		s.Errorf("after one took its own back: got %v, want Two", types)
	}
	for _, entry := range got.GetManagedFields() {
		if entry.Manager == "two" && entry.Subresource != "status" {
			s.Errorf("managedFields of two: got subresource %q, want status", entry.Subresource)
		}
	}
	apply("two")
}

func statusApplyCreatesNot(s *subject) {
	object := s.object("missing")
	object.Object["status"] = fields{"conditions": []any{conditioned("One")}}
	_, err := s.in.ApplyStatus(s.Context(), s.name("missing"), object, metav1.ApplyOptions{FieldManager: "one"})
	s.fails("apply", err, apierrors.IsNotFound)
	s.missing("missing")
}

func withoutStatus(s *subject) {
	s.create("a")
	if got := s.send("GET", s.url("a")+"/status", nil); got.code != http.StatusNotFound {
		s.Errorf("got %d, want 404", got.code)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func validationChecks() []check {
	return []check{
		{"invalid-create", "an object that breaks a rule is 422 with a cause that names the field", []need{several}, invalidCreate},
		{"invalid-update", "so is an update", nil, invalidUpdate},
		{"invalid-all", "all that is wrong is said at once", nil, invalidAll},
		{"immutable", "a field that cannot change is 422 with its path", []need{someImmutable}, immutable},
		{"wrong-type", "a value of the wrong type is 400 that says where", nil, wrongType},
		{"wrong-kind", "an object of another kind or version is 400", nil, wrongKind},
		{"warnings", "what is allowed and probably not meant is answered with a warning that names the field, a dry run too", []need{someWarnings}, warnings},
		{"metadata-rules", "labels, annotations and finalizers keep to the rules for them", nil, metadataRules},
	}
}

// caused wants a Status with a cause about the field.
func (s *subject) caused(err error, field string) {
	s.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		s.Errorf("%s: got %v, want a Status with details", field, err)
		return
	}
	details := status.Status().Details
	if !slices.ContainsFunc(details.Causes, func(c metav1.StatusCause) bool { return c.Field == field && c.Message != "" && c.Type != "" }) {
		s.Errorf("got causes %+v, want one about %s", details.Causes, field)
	}
	if details.Kind != s.kind.kind || details.Group != "tenancy.garret.dev" {
		s.Errorf("%s: got details of %s.%s, want %s.tenancy.garret.dev", field, details.Kind, details.Group, s.kind.kind)
	}
}

// refusals are all parts of a spec that are refused.
func (k *kind) refusals() map[string]fields {
	all := maps.Clone(k.invalid)
	maps.Copy(all, k.unresolved)
	return all
}

func invalidCreate(s *subject) {
	for field, spec := range s.refusals() {
		_, err := s.in.Create(s.Context(), s.with("bad", spec), metav1.CreateOptions{})
		s.fails(field, err, apierrors.IsInvalid, field)
		s.caused(err, field)
	}
	s.missing("bad")
}

func invalidUpdate(s *subject) {
	before := s.create("a")
	for field, spec := range s.refusals() {
		_, err := s.patch(types.MergePatchType, fields{"spec": spec})
		s.fails(field, err, apierrors.IsInvalid, field)
		s.caused(err, field)
	}
	if got := s.get("a"); got.GetResourceVersion() != before.GetResourceVersion() {
		s.Error("the object has changed")
	}
}

func invalidAll(s *subject) {
	s.create("a")
	for field, spec := range s.invalid {
		_, err := s.patch(types.MergePatchType, fields{"spec": spec, "metadata": fields{"labels": fields{"a b": "c"}, "annotations": fields{"d e": "f"}}})
		for _, want := range []string{field, "metadata.labels", "metadata.annotations"} {
			s.caused(err, want)
		}
	}
}

func immutable(s *subject) {
	s.create("a")
	for field, spec := range s.immutable {
		_, err := s.patch(types.MergePatchType, fields{"spec": spec})
		s.fails(field, err, apierrors.IsInvalid, field, "cannot be")
		s.caused(err, field)
	}
}

func wrongType(s *subject) {
	s.create("a")
	_, err := s.patch(types.MergePatchType, at(fields{"an": "object"}, s.path...))
	if !apierrors.IsBadRequest(err) && !apierrors.IsInvalid(err) {
		s.Errorf("patch: got %v, want BadRequest or Invalid", err)
	}
	object := s.object("b")
	s.must(unstructured.SetNestedField(object.Object, fields{"an": "object"}, s.path...))
	s.refused("create", http.StatusBadRequest, s.send("POST", s.collection(), body(object)), s.path[len(s.path)-1])
	s.refused("no JSON", http.StatusBadRequest, s.send("POST", s.collection(), []byte(`{"kind":`)))
	s.refused("no object", http.StatusBadRequest, s.send("POST", s.collection(), []byte(`[1]`)))
	s.refused("nothing", http.StatusBadRequest, s.send("POST", s.collection(), []byte(``)))
}

func wrongKind(s *subject) {
	other := s.object("a")
	other.SetKind("Unheard")
	s.refused("kind", http.StatusBadRequest, s.send("POST", s.collection(), body(other)), "Unheard")
	other = s.object("a")
	other.SetAPIVersion("tenancy.garret.dev/v9")
	s.refused("version", http.StatusBadRequest, s.send("POST", s.collection(), body(other)), "v9")
}

func warnings(s *subject) {
	s.create("a")
	for want, spec := range s.warned {
		got := s.expect(http.StatusOK, s.send("PATCH", s.url("a")+"?dryRun=All", body(fields{"spec": spec}), "Content-Type", string(types.MergePatchType)))
		if said := strings.Join(got.header.Values("Warning"), "\n"); !strings.Contains(said, want) {
			s.Errorf("got the warnings %q, want %q", said, want)
		}
	}
	got := s.expect(http.StatusOK, s.send("PATCH", s.url("a"), body(fields{"metadata": fields{"labels": fields{"a": "b"}}}), "Content-Type", string(types.MergePatchType)))
	if said := got.header.Values("Warning"); len(said) > 0 {
		s.Errorf("a label: got the warnings %q", said)
	}
}

func metadataRules(s *subject) {
	s.create("a")
	for field, metadata := range map[string]fields{
		"metadata.labels":               {"labels": fields{"a": "b c"}},
		"metadata.annotations":          {"annotations": fields{"a b": "c"}},
		"metadata.finalizers":           {"finalizers": []any{"a b"}},
		"metadata.ownerReferences.name": {"ownerReferences": []any{fields{"apiVersion": "v1", "kind": "ConfigMap", "uid": "u"}}},
		"metadata.ownerReferences.uid":  {"ownerReferences": []any{fields{"apiVersion": "v1", "kind": "ConfigMap", "name": "n"}}},
	} {
		_, err := s.patch(types.MergePatchType, fields{"metadata": metadata})
		s.fails(field, err, apierrors.IsInvalid, "metadata.")
	}
}

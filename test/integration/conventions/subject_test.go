// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// ruleResource is what customKind defines.
var ruleResource = schema.GroupVersionResource{Group: "conventions.garret.dev", Version: "v1", Resource: "rules"}

// label marks the objects of one check.
const label = "conventions.garret.dev/check"

// subject is a kind as one check sees it: objects of its own, in a namespace of its own.
type subject struct {
	*testing.T
	*kind
	// id marks the objects, and begins their names.
	id string
	// namespace is empty where the kind is in none.
	namespace string
	// in are the objects of the namespace.
	in dynamic.ResourceInterface
}

func newSubject(t *testing.T, k *kind) *subject {
	s := &subject{T: t, kind: k, id: "c" + rand.String(6)}
	objects := shared.objects.Resource(v1.SchemeGroupVersion.WithResource(k.resource))
	s.in = objects
	if k.namespaced {
		s.namespace = shared.host.NewNamespace(t, "conv-")
		s.in = objects.Namespace(s.namespace)
	}
	return s
}

// mine selects the objects of the check.
func (s *subject) mine() string { return label + "=" + s.id }

// name is the full name of an object of the check.
func (s *subject) name(short string) string {
	if s.only != "" {
		return s.only
	}
	return s.id + "-" + short
}

// object is a valid one that is not there yet.
func (s *subject) object(short string) *unstructured.Unstructured {
	spec := runtime.DeepCopyJSON(s.spec)
	object := &unstructured.Unstructured{Object: fields{"apiVersion": v1.SchemeGroupVersion.String(), "kind": s.kind.kind, "spec": spec}}
	object.SetName(s.name(short))
	object.SetNamespace(s.namespace)
	object.SetLabels(map[string]string{label: s.id})
	return object
}

// varied is an object whose variant has the number given.
func (s *subject) varied(short string, number int) *unstructured.Unstructured {
	object := s.object(short)
	s.vary(object, number)
	return object
}

func (s *subject) vary(object *unstructured.Unstructured, number int) {
	s.Helper()
	s.must(unstructured.SetNestedField(object.Object, s.variant(number), s.path...))
}

// create makes an object, or brings the only one into the state that a new one has.
func (s *subject) create(short string, change ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	s.Helper()
	object := s.object(short)
	for _, f := range change {
		f(object)
	}
	made, err := s.in.Create(s.Context(), object, metav1.CreateOptions{FieldManager: "creator"})
	if s.only != "" && apierrors.IsAlreadyExists(err) {
		made, err = s.in.Update(s.Context(), object, metav1.UpdateOptions{FieldManager: "creator"})
	}
	if err != nil {
		s.Fatalf("create %s: %v", object.GetName(), err)
	}
	if s.only == "" {
		s.Cleanup(func() { s.clear(object.GetName()) })
	}
	return made
}

// clear deletes what a check left behind. A namespace is not waited for.
func (s *subject) clear(name string) {
	if s.namespaced {
		return
	}
	ctx := context.Background()
	_ = s.in.Delete(ctx, name, metav1.DeleteOptions{})
}

// get reads an object as it is.
func (s *subject) get(short string) *unstructured.Unstructured {
	s.Helper()
	got, err := s.in.Get(s.Context(), s.name(short), metav1.GetOptions{})
	s.must(err)
	return got
}

// missing wants the object not to be there.
func (s *subject) missing(short string) {
	s.Helper()
	if _, err := s.in.Get(s.Context(), s.name(short), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		s.Errorf("get %s: got %v, want NotFound", s.name(short), err)
	}
}

// gone waits until the object is not there any more.
func (s *subject) gone(short string) {
	s.Helper()
	framework.Eventually(s, s.name(short)+" is gone", func(ctx context.Context) (bool, error) {
		_, err := s.in.Get(ctx, s.name(short), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// holds wants the variant of an object to be that of the number.
func (s *subject) holds(object *unstructured.Unstructured, number int) {
	s.Helper()
	got, _, _ := unstructured.NestedFieldNoCopy(object.Object, s.path...)
	if want := s.variant(number); text(got) != text(want) {
		s.Errorf("%s: got %v, want %v", strings.Join(s.path, "."), got, want)
	}
}

func (s *subject) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// fails wants an error that the function recognises.
func (s *subject) fails(what string, err error, as func(error) bool, parts ...string) {
	s.Helper()
	if !as(err) {
		s.Errorf("%s: got %v", what, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			s.Errorf("%s: got %q, want %q in it", what, err, part)
		}
	}
}

// text is a value as JSON, by which values are compared.
func text(value any) string {
	out, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// body is a patch or an object as JSON.
func body(value any) []byte { return []byte(text(value)) }

// at is a part of an object with the value at the path.
func at(value any, path ...string) fields {
	object := fields{}
	_ = unstructured.SetNestedField(object, value, path...)
	return object
}

// with is an object with a spec that has further fields.
func (s *subject) with(short string, spec fields) *unstructured.Unstructured {
	object := s.object(short)
	maps.Copy(object.Object["spec"].(fields), runtime.DeepCopyJSON(spec))
	return object
}

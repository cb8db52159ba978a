// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/framework"
)

// labelTier is the tenant's label that is changed in kinds without a better field.
const labelTier = "tier"

// subject is a kind as one check sees it.
type subject struct {
	*side
	*kind
	inside, onHost dynamic.ResourceInterface
}

func newSubject(t *testing.T, s *side, k *kind) *subject {
	return &subject{side: s.within(t), kind: k,
		inside: shared.virtualObjects.Resource(k.GroupVersionResource).Namespace(s.namespace),
		onHost: shared.hostObjects.Resource(k.GroupVersionResource).Namespace(s.hostNamespace)}
}

// valid is an object of the name that is not there yet, with a label of the tenant's.
func (s *subject) valid(name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(s.object)}
	object.SetAPIVersion(s.GroupVersion().String())
	object.SetKind(s.kind.kind)
	object.SetName(name)
	labels := map[string]string{labelTier: "one"}
	if s.Resource == tenancyv1.ResourceEndpointSlices {
		labels[discoveryv1.LabelServiceName] = "for-" + name
	}
	object.SetLabels(labels)
	return object
}

// create makes an object inside, and what it takes to be carried.
func (s *subject) create(name string, change ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	s.t.Helper()
	if s.need != nil {
		s.need(s.side, name)
	}
	return s.createAgain(name, change...)
}

func (s *subject) createAgain(name string, change ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	s.t.Helper()
	object := s.valid(name)
	for _, f := range change {
		f(object)
	}
	made, err := s.inside.Create(s.t.Context(), object, metav1.CreateOptions{})
	s.must(err)
	return made
}

// carried makes an object inside and waits for its twin.
func (s *subject) carried(name string) (virtual, host *unstructured.Unstructured) {
	s.t.Helper()
	virtual = s.create(name)
	return virtual, s.awaitTwin(name, virtual.GetUID())
}

// awaitTwin waits for the host object of the virtual one of this UID.
func (s *subject) awaitTwin(name string, uid types.UID) *unstructured.Unstructured {
	s.t.Helper()
	return s.awaitHost(name, "is on the host", func(host *unstructured.Unstructured) bool {
		return host.GetAnnotations()[tenancyv1.AnnotationVirtualUID] == string(uid) && s.holds(host, 0)
	})
}

func (s *subject) awaitHost(name, what string, is func(*unstructured.Unstructured) bool) *unstructured.Unstructured {
	s.t.Helper()
	var host *unstructured.Unstructured
	framework.Eventually(s.t, s.Resource+" "+name+" "+what, func(ctx context.Context) (bool, error) {
		var err error
		host, err = s.onHost.Get(ctx, s.hostName(name), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && is(host), err
	})
	return host
}

func (s *subject) hostName(name string) string { return s.translator.HostName(s.namespace, name) }

// holds tells whether the field on the host has the value of the number.
func (s *subject) holds(host *unstructured.Unstructured, number int) bool {
	path, value := s.fieldOnHost(), s.value(number)
	got, _, _ := unstructured.NestedFieldNoCopy(host.Object, path...)
	return reflect.DeepEqual(got, value)
}

func (s *subject) fieldOnHost() []string {
	if s.path == nil {
		return []string{"metadata", "labels", translate.Key(labelTier)}
	}
	return s.path
}

func (s *subject) value(number int) any {
	if s.path == nil {
		return []string{"one", "two"}[number]
	}
	return s.values[number]
}

// change has the field have its other value inside.
func (s *subject) change(name string) {
	s.t.Helper()
	path := s.path
	if path == nil {
		path = []string{"metadata", "labels", labelTier}
	}
	s.patch(s.inside, name, s.value(1), path...)
}

// drifts has somebody on the host change the field.
func (s *subject) drifts(name string) {
	s.t.Helper()
	value := s.drift
	if s.path == nil {
		value = "three"
	}
	s.patch(s.onHost, s.hostName(name), value, s.fieldOnHost()...)
}

func (s *subject) patch(in dynamic.ResourceInterface, name string, value any, path ...string) {
	s.t.Helper()
	patch := fields{}
	s.must(unstructured.SetNestedField(patch, value, path...))
	body, err := json.Marshal(patch)
	s.must(err)
	_, err = in.Patch(s.t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{})
	s.must(err)
}

// remove deletes the object inside.
func (s *subject) remove(name string) {
	s.t.Helper()
	s.must(s.inside.Delete(s.t.Context(), name, metav1.DeleteOptions{}))
}

func (s *subject) goneInside(name string) {
	s.t.Helper()
	framework.Eventually(s.t, s.Resource+" "+name+" is gone inside", func(ctx context.Context) (bool, error) {
		_, err := s.inside.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func (s *subject) goneOnHost(name string) {
	s.t.Helper()
	framework.Eventually(s.t, s.Resource+" "+name+" is gone from the host", func(ctx context.Context) (bool, error) {
		_, err := s.onHost.Get(ctx, s.hostName(name), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// written is what people write of an object.
func written(object *unstructured.Unstructured) fields {
	out := runtime.DeepCopyJSON(object.Object)
	delete(out, "status")
	metadata := out["metadata"].(fields)
	delete(metadata, "resourceVersion")
	delete(metadata, "managedFields")
	return out
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// objects renders the chart and decodes every document strictly, so that a
// misspelt field fails here and not on a user's cluster.
func objects(t *testing.T, values map[string]any) []runtime.Object {
	t.Helper()
	stream, err := Render(values)
	if err != nil {
		t.Fatalf("rendering with %v: %v", values, err)
	}
	return decode(t, stream)
}

func decode(t *testing.T, stream string) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiregistrationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var all []runtime.Object
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(stream)))
	for {
		document, err := reader.Read()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		all = append(all, object)
	}
}

// find returns the one object of type T with this name.
func find[T runtime.Object](t *testing.T, all []runtime.Object, name string) T {
	t.Helper()
	var names []string
	for _, object := range all {
		typed, ok := object.(T)
		if !ok {
			continue
		}
		accessor, err := meta.Accessor(object)
		if err != nil {
			t.Fatal(err)
		}
		if accessor.GetName() == name {
			return typed
		}
		names = append(names, accessor.GetName())
	}
	var none T
	t.Fatalf("no %T %s, only %s", none, name, strings.Join(names, ", "))
	return none
}

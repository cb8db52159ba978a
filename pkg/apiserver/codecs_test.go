// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

func TestProtobufIsNotOffered(t *testing.T) {
	offered := map[string]bool{}
	for _, info := range (withoutProtobuf{serializer.NewCodecFactory(NewScheme())}).SupportedMediaTypes() {
		offered[info.MediaType] = true
	}
	if offered[runtime.ContentTypeProtobuf] || !offered[runtime.ContentTypeJSON] || !offered[runtime.ContentTypeYAML] {
		t.Errorf("got %v, want JSON and YAML without protobuf", offered)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// withoutProtobuf offers every media type but protobuf, which our kinds cannot
// be written in. The namespace controller of the host prefers it: an answer in
// it would be 406, and every namespace would stay Terminating for ever.
type withoutProtobuf struct{ serializer.CodecFactory }

// SupportedMediaTypes are those that a client can choose from.
func (c withoutProtobuf) SupportedMediaTypes() []runtime.SerializerInfo {
	return slices.DeleteFunc(slices.Clone(c.CodecFactory.SupportedMediaTypes()), func(info runtime.SerializerInfo) bool {
		return info.MediaType == runtime.ContentTypeProtobuf
	})
}

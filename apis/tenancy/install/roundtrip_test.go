// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"math/rand"
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	"k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// fuzzers fill in what defaulting would, and write quantities and free-form
// values in the one form that survives JSON.
func fuzzers(serializer.CodecFactory) []any {
	return []any{
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63n(1<<40), resource.BinarySI)
			_ = q.String()
		},
		func(raw *runtime.RawExtension, _ randfill.Continue) {
			raw.Raw = []byte(`{"pod":{"nodeSelector":{"a":"b"}}}`)
		},
		func(ref *tenancy.HostClusterReference, c randfill.Continue) {
			c.FillNoCustom(ref)
			ref.Name = cmp.Or(ref.Name, v1.LocalHostCluster)
		},
		func(parameter *tenancy.TemplateParameter, c randfill.Continue) {
			c.FillNoCustom(parameter)
			parameter.Type = cmp.Or(parameter.Type, tenancy.ParameterString)
		},
		func(status *tenancy.VirtualClusterStatus, c randfill.Continue) {
			c.FillNoCustom(status)
			status.Phase = cmp.Or(status.Phase, tenancy.PhaseReady)
		},
		func(spec *tenancy.KubeconfigRequestSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			seconds := c.Int63()
			spec.ExpirationSeconds = &seconds
		},
	}
}

func TestRoundTrip(t *testing.T) {
	scheme := runtime.NewScheme()
	Install(scheme)
	codecs := serializer.NewCodecFactory(scheme)
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, fuzzers), rand.NewSource(rand.Int63()), codecs)
	// Options travel as a query, never as an object.
	options := map[schema.GroupVersionKind]bool{
		tenancy.SchemeGroupVersion.WithKind("VirtualClusterProxyOptions"): true,
		v1.SchemeGroupVersion.WithKind("VirtualClusterProxyOptions"):      true,
	}
	roundtrip.RoundTripTypesWithoutProtobuf(t, scheme, codecs, filler, options)
}

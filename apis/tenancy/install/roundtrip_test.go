// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
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
		func(spec *tenancy.KubernetesSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.Distro, spec.Version = orElse(spec.Distro, tenancy.DistroK8s), orElse(spec.Version, "v1.37.2")
		},
		func(spec *tenancy.StorageSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			persistent, size := c.Bool(), resource.MustParse("7Gi")
			spec.Persistent, spec.Size = &persistent, &size
			spec.WhenDeleted = orElse(spec.WhenDeleted, tenancy.RetentionRetain)
		},
		func(status *tenancy.VirtualClusterStatus, c randfill.Continue) {
			c.FillNoCustom(status)
			status.Phase = orElse(status.Phase, tenancy.PhaseReady)
		},
		func(spec *tenancy.KubeconfigRequestSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			seconds := c.Int63()
			spec.ExpirationSeconds = &seconds
		},
	}
}

func orElse[T ~string](value, other T) T {
	if value == "" {
		return other
	}
	return value
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

func TestDefaults(t *testing.T) {
	scheme := runtime.NewScheme()
	Install(scheme)
	off := false
	for name, test := range map[string]struct {
		given    v1.VirtualClusterSpec
		size     string
		distro   v1.Distro
		retained v1.StorageRetention
	}{
		"nothing":        {v1.VirtualClusterSpec{}, v1.DefaultStorageSize, v1.DistroK3s, v1.RetentionDelete},
		"not persistent": {v1.VirtualClusterSpec{ControlPlane: v1.ControlPlaneSpec{Storage: v1.StorageSpec{Persistent: &off}}}, "", v1.DistroK3s, v1.RetentionDelete},
		"all given": {v1.VirtualClusterSpec{
			Kubernetes:   v1.KubernetesSpec{Distro: v1.DistroK8s},
			ControlPlane: v1.ControlPlaneSpec{Storage: v1.StorageSpec{Size: resource.NewQuantity(1<<30, resource.BinarySI), WhenDeleted: v1.RetentionRetain}},
		}, "1Gi", v1.DistroK8s, v1.RetentionRetain},
	} {
		t.Run(name, func(t *testing.T) {
			vc := &v1.VirtualCluster{Spec: test.given}
			scheme.Default(vc)
			size := ""
			if vc.Spec.ControlPlane.Storage.Size != nil {
				size = vc.Spec.ControlPlane.Storage.Size.String()
			}
			if size != test.size || vc.Spec.Kubernetes.Distro != test.distro ||
				vc.Spec.ControlPlane.Storage.WhenDeleted != test.retained || vc.Spec.Kubernetes.Version != v1.DefaultKubernetesVersion {
				t.Errorf("got %+v, want size %q, distro %s, %s on deletion", vc.Spec, test.size, test.distro, test.retained)
			}
		})
	}
}

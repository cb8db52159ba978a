// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
)

// noTokens mints nothing.
type noTokens struct{}

func (noTokens) Names(*corev1.Pod, []corev1.ServiceAccountTokenProjection) (string, []string) {
	return "", nil
}

func (noTokens) Missing(*corev1.Pod) bool { return false }

func (noTokens) Controller(metrics *engine.Metrics) (*engine.Controller, error) {
	return engine.NewController(engine.ControllerOptions{Metrics: metrics, Clock: clock.RealClock{}}), nil
}

// TestEveryKindIsSynced wants each kind that can be switched on to be made of something.
func TestEveryKindIsSynced(t *testing.T) {
	var got []string
	for _, kind := range kinds() {
		got = append(got, kind.resource)
	}
	if want := tenancyv1.CataloguedResources(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestWhatIsOffIsNotFollowed switches one kind on at a time, and names what each
// cluster is watched for. A kind without a row looks at nothing but its own objects.
func TestWhatIsOffIsNotFollowed(t *testing.T) {
	tests := map[string]struct{ virtual, host []string }{
		tenancyv1.ResourceConfigMaps:       {[]string{"configmaps", "pods"}, []string{"configmaps"}},
		tenancyv1.ResourceSecrets:          {[]string{"pods", "secrets"}, []string{"secrets"}},
		tenancyv1.ResourceEndpointSlices:   {nil, nil}, // it takes services
		tenancyv1.ResourceClaims:           {[]string{"persistentvolumeclaims", "persistentvolumes"}, []string{"persistentvolumeclaims"}},
		tenancyv1.ResourceVolumes:          {[]string{"persistentvolumeclaims", "persistentvolumes"}, []string{"persistentvolumeclaims", "persistentvolumes"}},
		tenancyv1.OwnStorageClasses:        {[]string{"storageclasses"}, []string{"storageclasses"}},
		tenancyv1.ResourcePods:             {[]string{"namespaces", "nodes", "pods", "runtimeclasses", "services"}, []string{"configmaps", "pods", "secrets"}},
		tenancyv1.ResourcePolicies:         {[]string{"namespaces", "networkpolicies"}, []string{"networkpolicies"}},
		tenancyv1.ResourceEvents:           {nil, nil}, // it takes pods
		tenancyv1.ResourceDeviceClaims:     {nil, nil}, // it takes device classes
		tenancyv1.ResourceSnapshotClasses:  {nil, nil}, // it takes the definition
		tenancyv1.OwnSnapshotContents:      {nil, nil}, // it takes the definition
		tenancyv1.ResourceSnapshotContents: {nil, nil}, // it takes the definition
		tenancyv1.ResourceGatewayClasses:   {nil, nil}, // it takes the definition
		tenancyv1.ResourceCSINodes:         {nil, nil}, // it takes nodes and drivers
		tenancyv1.ResourceCSICapacities:    {nil, nil}, // it takes nodes and classes
	}
	for _, name := range tenancyv1.CataloguedResources() {
		t.Run(name, func(t *testing.T) {
			want, listed := tests[name]
			if !listed {
				want.virtual, want.host = []string{name}, []string{name}
			}
			virtual, host := NewVirtual(fake.NewClientset()), NewHost(fake.NewClientset(), testTranslator().Cluster(), ShownNodes{})
			security, err := isolation.NewPodSecurity("v1.37.2")
			if err != nil {
				t.Fatal(err)
			}
			err = Register(&engine.Engine{}, Config{
				PodSecurity: security,
				Translator:  testTranslator(), Virtual: virtual, Host: host, Tokens: noTokens{}, Recorder: &record.FakeRecorder{},
				Metrics: engine.NewMetrics(metrics.NewKubeRegistry()), Clock: clock.RealClock{}, Selection: Selection{name: true}, Dormancy: dormancy.New(dormancy.Options{}), HostResources: NewHostResources(),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := namesOf(virtual.Resources()); !slices.Equal(got, want.virtual) {
				t.Errorf("inside: got %v, want %v", got, want.virtual)
			}
			if got := namesOf(host.Resources()); !slices.Equal(got, want.host) {
				t.Errorf("on the host: got %v, want %v", got, want.host)
			}
		})
	}
}

func namesOf(resources []schema.GroupVersionResource) []string {
	var names []string
	for _, resource := range resources {
		names = append(names, resource.Resource)
	}
	slices.Sort(names)
	return names
}

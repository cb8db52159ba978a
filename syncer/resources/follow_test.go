// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// noTokens mints nothing.
type noTokens struct{}

func (noTokens) Names(*corev1.Pod, []corev1.ServiceAccountTokenProjection) (string, []string) {
	return "", nil
}

func (noTokens) Ensure(context.Context, *corev1.Pod, []corev1.ServiceAccountTokenProjection) error {
	return nil
}

func (noTokens) Controller(metrics *engine.Metrics) (*engine.Controller, error) {
	return engine.NewController(engine.ControllerOptions{Metrics: metrics, Clock: clock.RealClock{}}), nil
}

// TestWhatIsOffIsNotFollowed switches one kind on at a time, and names what each
// cluster is watched for.
func TestWhatIsOffIsNotFollowed(t *testing.T) {
	all := tenancyv1.CataloguedResources()
	tests := map[string]struct{ virtual, host []string }{
		tenancyv1.ResourceConfigMaps:     {[]string{"configmaps", "pods"}, []string{"configmaps"}},
		tenancyv1.ResourceSecrets:        {[]string{"pods", "secrets"}, []string{"secrets"}},
		tenancyv1.ResourceServices:       {[]string{"services"}, []string{"services"}},
		tenancyv1.ResourceEndpointSlices: {nil, nil}, // it takes services
		tenancyv1.ResourceClaims:         {[]string{"persistentvolumeclaims", "persistentvolumes"}, []string{"persistentvolumeclaims"}},
		tenancyv1.ResourcePods:           {[]string{"namespaces", "nodes", "pods", "services"}, []string{"configmaps", "pods"}},
		tenancyv1.ResourceBudgets:        {[]string{"poddisruptionbudgets"}, []string{"poddisruptionbudgets"}},
		tenancyv1.ResourceEvents:         {nil, nil}, // it takes pods
	}
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			virtual, host := NewVirtual(fake.NewClientset()), NewHost(fake.NewClientset(), testTranslator().Cluster(), false)
			err := Register(&engine.Engine{}, Config{
				Translator: testTranslator(), Virtual: virtual, Host: host, Tokens: noTokens{}, Recorder: &record.FakeRecorder{},
				Metrics: engine.NewMetrics(metrics.NewKubeRegistry()), Clock: clock.RealClock{}, Selection: Selection{name: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := namesOf(virtual.Resources()); !slices.Equal(got, tests[name].virtual) {
				t.Errorf("inside: got %v, want %v", got, tests[name].virtual)
			}
			if got := namesOf(host.Resources()); !slices.Equal(got, tests[name].host) {
				t.Errorf("on the host: got %v, want %v", got, tests[name].host)
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

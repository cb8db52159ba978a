// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"errors"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/kube"
	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/pkg/release/sealed"
)

// The whole package is tested on a real API server in test/integration/release;
// here is what can be said without one.

func testClient(t *testing.T, objects ...runtime.Object) (*Client, *fake.Clientset) {
	t.Helper()
	loaded, err := chart.Load("v0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	host := fake.NewClientset(objects...)
	// Where nothing listens: what is tested must not ask the host.
	none := metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme())
	return New(&rest.Config{Host: "https://127.0.0.1:1"}, host, none, sealed.NewKey(host.CoreV1().Secrets("garret-system")), loaded), host
}

func testSpec(t *testing.T, change func(*chart.Values)) Spec {
	t.Helper()
	values := chart.Values{
		Cluster: chart.Cluster{Name: "demo", ID: "0123456789", UID: "u"}, Kubernetes: chart.Kubernetes{Distro: "k3s", Version: "v1.37.2"},
		ControlPlane: chart.ControlPlane{Image: "k3s:v1", Storage: chart.Storage{Size: "5Gi"}}, Syncer: chart.Syncer{Image: "syncer:v1"},
		Host:    chart.Host{ServiceCIDR: "10.96.0.0/16", ClusterDomain: "cluster.local", ClientCA: "-----BEGIN CERTIFICATE-----"},
		Service: chart.Service{ClusterIP: "10.96.7.7"},
	}
	if change != nil {
		change(&values)
	}
	merged, err := chart.Merge(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Namespace: "team", Name: "vc-demo", Values: merged}
}

func TestEnsureService(t *testing.T) {
	own := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vc-demo", Labels: map[string]string{managedByLabel: managedByHelm},
			Annotations: map[string]string{nameAnnotation: "vc-demo", namespaceAnnotation: "team"}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.7.7"},
	}
	of := func(change func(*corev1.Service)) *corev1.Service {
		service := own.DeepCopy()
		change(service)
		return service
	}
	tests := []struct {
		name    string
		service *corev1.Service
		want    string
		wantErr string
	}{
		{"there is none", nil, "10.96.0.9", ""},
		{"it is there", own, "10.96.7.7", ""},
		{"of nobody", of(func(s *corev1.Service) { s.Labels, s.Annotations = nil, nil }), "", ErrForeign.Error()},
		{"of another release", of(func(s *corev1.Service) { s.Annotations[nameAnnotation] = "other" }), "", ErrForeign.Error()},
		{"of a release elsewhere", of(func(s *corev1.Service) { s.Annotations[namespaceAnnotation] = "other" }), "", ErrForeign.Error()},
		{"without an address", of(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), "", "no cluster IP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var objects []runtime.Object
			if test.service != nil {
				objects = append(objects, test.service)
			}
			client, host := testClient(t, objects...)
			host.PrependReactor("create", "services", func(action clienttesting.Action) (bool, runtime.Object, error) {
				service := action.(clienttesting.CreateAction).GetObject().(*corev1.Service)
				if !owned(service, "team", "vc-demo") {
					t.Errorf("the Service made first bears no marks of the release: %v %v", service.Labels, service.Annotations)
				}
				if service.Spec.ClusterIP != "" || len(service.Spec.Ports) != 2 || service.Spec.Selector["app.kubernetes.io/instance"] != "vc-demo" {
					t.Errorf("the Service made first is not the chart's: %+v", service.Spec)
				}
				service.Spec.ClusterIP = "10.96.0.9"
				return true, service, nil
			})
			got, err := client.EnsureService(t.Context(), testSpec(t, func(v *chart.Values) { v.Service.ClusterIP = "" }))
			if got != test.want || (err == nil) != (test.wantErr == "") || (err != nil && !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("got %q, %v; want %q, %q", got, err, test.want, test.wantErr)
			}
		})
	}
}

func TestSame(t *testing.T) {
	client, _ := testClient(t)
	other, err := chart.Load("v0.2.0")
	if err != nil {
		t.Fatal(err)
	}
	edited, err := chart.Load("v0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	edited.Templates[0].Data = append(edited.Templates[0].Data, '#')
	spec := testSpec(t, nil)
	changed := testSpec(t, func(v *chart.Values) { v.Service.ClusterIP = "10.96.7.8" })
	manifest, err := client.render(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		record *helm.Release
		want   bool
	}{
		{"the same", &helm.Release{Chart: client.chart, Config: spec.Values, Manifest: manifest}, true},
		{"another manifest", &helm.Release{Chart: client.chart, Config: spec.Values, Manifest: strings.Replace(manifest, "[virtualclusters]", "[virtualclusters, roles]", 1)}, false},
		{"no manifest", &helm.Release{Chart: client.chart, Config: spec.Values}, false},
		{"other values", &helm.Release{Chart: client.chart, Config: changed.Values, Manifest: manifest}, false},
		{"no values", &helm.Release{Chart: client.chart, Manifest: manifest}, false},
		{"another version", &helm.Release{Chart: other, Config: spec.Values, Manifest: manifest}, false},
		{"an edited template", &helm.Release{Chart: edited, Config: spec.Values, Manifest: manifest}, false},
		{"no chart", &helm.Release{Config: spec.Values, Manifest: manifest}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := client.same(t.Context(), test.record, spec); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// Build is what stands between a forged record and the controller's rights.
func TestGuardBuild(t *testing.T) {
	client, _ := testClient(t)
	config := client.configuration(t.Context(), "team", "vc-demo")
	if _, bare := config.KubeClient.(*kube.Client); bare {
		t.Fatal("Helm's client is not guarded")
	}
	manifest := func(kind, namespace, name string) string {
		return "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n"
	}
	tests := []struct {
		name, manifest string
		want           bool
	}{
		{"the chart's", manifest("ServiceAccount", "team", "vc-demo"), true},
		{"without a namespace", "apiVersion: v1\nkind: Service\nmetadata: {name: vc-demo}\n", true},
		{"the chart's for workloads", manifest("ServiceAccount", "team", "vc-demo.workloads"), true},
		{"the chart's for what a tenant's policies select", strings.Replace(manifest("NetworkPolicy", "team", "vc-demo.policed"), "apiVersion: v1", "apiVersion: networking.k8s.io/v1", 1), true},
		{"an account under that name", manifest("ServiceAccount", "team", "vc-demo.policed"), false},
		{"another kind under that name", manifest("Service", "team", "vc-demo.workloads"), false},
		{"another name", manifest("ServiceAccount", "team", "prey"), false},
		{"another namespace", manifest("ServiceAccount", "kube-system", "vc-demo"), false},
		{"another kind", manifest("Secret", "team", "vc-demo"), false},
		{"no namespace at all", "apiVersion: v1\nkind: Namespace\nmetadata: {name: vc-demo}\n", false},
		{"a list", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ServiceAccount, metadata: {name: prey}}]\n", false},
		{"among others", manifest("ServiceAccount", "team", "vc-demo") + "---\n" + manifest("Service", "team", "prey"), false},
		{"nonsense", "{{", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.KubeClient.Build(strings.NewReader(test.manifest), false)
			if (err == nil) != test.want {
				t.Errorf("got %v, want it allowed: %t", err, test.want)
			}
			if err != nil && !errors.As(err, new(*manifestError)) {
				t.Errorf("got a %T, want a manifestError", err)
			}
		})
	}
}

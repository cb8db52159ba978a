// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework/aggregation"
)

// What is below is true of virtual clusters alone, and shown with the typed client.

// newDemo makes a virtual cluster in a namespace of its own.
func newDemo(t *testing.T, change func(*v1.VirtualCluster)) (tenancyv1.VirtualClusterInterface, *v1.VirtualCluster) {
	t.Helper()
	in := shared.garret.Clients.TenancyV1().VirtualClusters(shared.host.NewNamespace(t, "conv-"))
	object := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	if change != nil {
		change(object)
	}
	made, err := in.Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return in, made
}

// TestStatusIsOfTheServer creates one that says of itself what it is not.
func TestStatusIsOfTheServer(t *testing.T) {
	t.Parallel()
	_, got := newDemo(t, func(o *v1.VirtualCluster) {
		o.Status = v1.VirtualClusterStatus{Phase: v1.PhaseReady, ClusterID: "chosen", Endpoint: "https://evil:443"}
	})
	if got.Status.Phase != v1.PhasePending || got.Status.ClusterID != v1.ClusterID(got.UID) || got.Status.Endpoint != "" {
		t.Errorf("status: got %+v, want Pending with the id that follows from the UID", got.Status)
	}
}

// TestStatusIsReported has the id stay what it is, and two reporters own their parts by server-side apply.
func TestStatusIsReported(t *testing.T) {
	t.Parallel()
	in, object := newDemo(t, nil)
	object.Spec.Kubernetes.Version = "v1.99.0"
	object.Status.Phase = v1.PhaseDeploying
	object.Status.ClusterID = "stolen"
	got, err := in.UpdateStatus(t.Context(), object, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Status.Phase != v1.PhaseDeploying || got.Status.ClusterID != v1.ClusterID(got.UID) ||
		got.Spec.Kubernetes.Version != v1.DefaultKubernetesVersion || got.Generation != 1 {
		t.Errorf("got %+v, want only the phase changed", got)
	}
	for _, reporter := range []struct{ manager, kind string }{{v1.FieldManagerSyncer, v1.ConditionSyncerReady}, {v1.FieldManagerController, v1.ConditionReady}} {
		condition := applymetav1.Condition().WithType(reporter.kind).WithStatus(metav1.ConditionTrue).WithReason("Test").
			WithMessage("").WithLastTransitionTime(metav1.Now())
		report := applyv1.VirtualCluster("demo", got.Namespace).WithStatus(applyv1.VirtualClusterStatus().WithConditions(condition))
		if got, err = in.ApplyStatus(t.Context(), report, metav1.ApplyOptions{FieldManager: reporter.manager}); err != nil {
			t.Fatalf("%s applies %s: %v", reporter.manager, reporter.kind, err)
		}
	}
	if len(got.Status.Conditions) != 2 || got.Status.ClusterID != v1.ClusterID(got.UID) || got.Status.Phase != v1.PhaseDeploying {
		t.Errorf("after both applied: got %+v, want two conditions and the rest kept", got.Status)
	}
}

// TestRefusalsWithARemedy has kubectl show what would do instead.
func TestRefusalsWithARemedy(t *testing.T) {
	t.Parallel()
	namespace := shared.host.NewNamespace(t, "conv-")
	for spec, wants := range map[string][]string{
		`{"kubernetes":{"version":"v1.20.0"}}`:        {"spec.kubernetes.version", v1.DefaultKubernetesVersion},
		`{"controlPlane":{"storage":{"size":"big"}}}`: {"quantities must match"},
	} {
		manifest := `{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"bad"},"spec":` + spec + `}`
		output, err := shared.host.Kubectl().Input(manifest).Output("-n", namespace, "create", "-f", "-")
		for _, want := range wants {
			if err == nil || !strings.Contains(output, want) {
				t.Errorf("%s: got %q, %v; want %q in it", spec, output, err, want)
			}
		}
	}
}

// TestDeletionShowsAtOnce looks at one that a finalizer holds.
func TestDeletionShowsAtOnce(t *testing.T) {
	t.Parallel()
	_, object := newDemo(t, func(o *v1.VirtualCluster) { o.Finalizers = []string{"example.com/hold"} })
	kubectl := func(args ...string) string {
		return shared.host.Kubectl().Do(t, append([]string{"-n", object.Namespace}, args...)...)
	}
	kubectl("delete", "vc", "demo", "--wait=false")
	if got := kubectl("get", "vc", "demo", "--no-headers"); !strings.Contains(got, "Terminating") {
		t.Errorf("get: got %q, want Terminating", got)
	}
	kubectl("patch", "vc", "demo", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	kubectl("wait", "vc/demo", "--for=delete", "--timeout=30s")
}

// TestGatewayIsOff asks for a virtual cluster on garret-apiserver's own address,
// which is no way in unless the operator says so.
func TestGatewayIsOff(t *testing.T) {
	t.Parallel()
	_, object := newDemo(t, nil)
	config, err := aggregation.Direct(t.Context(), shared.host, shared.garret.Address)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/readyz": http.StatusOK, v1.GatewayPath(object.Name, object.Namespace) + "/api": http.StatusNotFound} {
		answer, err := client.Get(config.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		var status metav1.Status
		if answer.StatusCode == http.StatusNotFound {
			err = json.NewDecoder(answer.Body).Decode(&status)
		}
		answer.Body.Close()
		if err != nil || answer.StatusCode != want || want == http.StatusNotFound && !strings.Contains(status.Message, "switched off") {
			t.Errorf("%s: answered %d, %q, %v; want %d, and why", path, answer.StatusCode, status.Message, err, want)
		}
	}
}

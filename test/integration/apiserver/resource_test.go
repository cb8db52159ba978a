// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"encoding/json"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
)

func TestCreatedObject(t *testing.T) {
	in := clusters(t)
	object := named("demo")
	object.Status = v1.VirtualClusterStatus{Phase: v1.PhaseReady, ClusterID: "chosen", Endpoint: "https://evil:443"}
	got := create(t, in, object)
	if got.Status.Phase != v1.PhasePending || got.Status.ClusterID != v1.ClusterID(got.UID) || got.Status.Endpoint != "" {
		t.Errorf("status: got %+v, want Pending with the id that follows from the UID", got.Status)
	}
	if got.Generation != 1 || got.Spec.Kubernetes.Version != v1.DefaultKubernetesVersion || got.Spec.Kubernetes.Distro != v1.DistroK3s {
		t.Errorf("got generation %d and %+v, want 1 and the defaults", got.Generation, got.Spec.Kubernetes)
	}
	if _, err := in.Create(t.Context(), named("demo"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a second one of the name: got %v, want AlreadyExists", err)
	}
	generated := create(t, in, &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{GenerateName: strings.Repeat("long", 15)}})
	if len(generated.Name) > v1.MaxNameLength {
		t.Errorf("generated name %q has %d characters, want at most %d", generated.Name, len(generated.Name), v1.MaxNameLength)
	}
}

func TestStatusIsApart(t *testing.T) {
	in := clusters(t)
	object := create(t, in, named("demo"))
	object.Labels = map[string]string{"from": "status"}
	object.Finalizers = []string{"example.com/from-status"}
	object.Spec.Kubernetes.Version = "v1.99.0"
	object.Status.Phase = v1.PhaseDeploying
	object.Status.ClusterID = "stolen"
	got, err := in.UpdateStatus(t.Context(), object, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Status.Phase != v1.PhaseDeploying || got.Status.ClusterID != v1.ClusterID(got.UID) ||
		len(got.Labels)+len(got.Finalizers) != 0 || got.Spec.Kubernetes.Version != v1.DefaultKubernetesVersion || got.Generation != 1 {
		t.Errorf("got %+v, want only the phase changed", got)
	}

	// Two reporters own their parts by server-side apply.
	condition := func(kind string) *applyv1.VirtualClusterApplyConfiguration {
		c := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "Test", LastTransitionTime: metav1.Now()}
		return applyv1.VirtualCluster("demo", got.Namespace).WithStatus(applyv1.VirtualClusterStatus().WithConditions(conditionApply(c)))
	}
	for _, reporter := range []struct{ manager, kind string }{{v1.FieldManagerSyncer, v1.ConditionSyncerReady}, {v1.FieldManagerController, v1.ConditionReady}} {
		if got, err = in.ApplyStatus(t.Context(), condition(reporter.kind), metav1.ApplyOptions{FieldManager: reporter.manager}); err != nil {
			t.Fatalf("%s applies %s: %v", reporter.manager, reporter.kind, err)
		}
	}
	if len(got.Status.Conditions) != 2 || got.Status.ClusterID == "" || got.Status.Phase != v1.PhaseDeploying {
		t.Errorf("after both applied: got %+v, want two conditions and the rest kept", got.Status)
	}
	missing := applyv1.VirtualCluster("missing", got.Namespace).WithStatus(applyv1.VirtualClusterStatus().WithPhase(v1.PhaseReady))
	if _, err := in.ApplyStatus(t.Context(), missing, metav1.ApplyOptions{FieldManager: "test"}); !apierrors.IsNotFound(err) {
		t.Errorf("status of what is not there: got %v, want NotFound", err)
	}
}

func TestRefusedInput(t *testing.T) {
	in := clusters(t)
	for name, test := range map[string]struct {
		object string
		want   string
	}{
		"unknown version": {`{"spec":{"kubernetes":{"version":"v1.99.0"}}}`, "spec.kubernetes.version"},
		"negative memory": {`{"spec":{"controlPlane":{"resources":{"limits":{"memory":"-1Gi"}}}}}`, "spec.controlPlane.resources.limits[memory]"},
		"not a quantity":  {`{"spec":{"controlPlane":{"storage":{"size":"big"}}}}`, "quantities must match"},
		"chart value":     {`{"spec":{"helm":{"values":{"serviceAccountName":"admin"}}}}`, "spec.helm.values.serviceAccountName"},
		"chart type":      {`{"spec":{"helm":{"values":{"networkPolicy":{"enabled":"yes"}}}}}`, "spec.helm.values.networkPolicy.enabled"},
		"owned flag":      {`{"spec":{"kubernetes":{"extraArgs":["--data-dir=/x"]}}}`, "spec.kubernetes.extraArgs[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			var object map[string]any
			if err := json.Unmarshal([]byte(test.object), &object); err != nil {
				t.Fatal(err)
			}
			object["apiVersion"], object["kind"] = "tenancy.garret.dev/v1", "VirtualCluster"
			object["metadata"] = map[string]any{"name": "bad"}
			body, _ := json.Marshal(object)
			err := shared.garret.Clients.TenancyV1().RESTClient().Post().Namespace("default").Resource("virtualclusters").Body(body).
				SetHeader("Content-Type", "application/json").Do(t.Context()).Error()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error about %s", err, test.want)
			}
		})
	}
	long := named(strings.Repeat("a", v1.MaxNameLength+1))
	if _, err := in.Create(t.Context(), long, metav1.CreateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.name") {
		t.Errorf("name too long: got %v, want Invalid about metadata.name", err)
	}
}

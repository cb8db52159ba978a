// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/ptr"

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

func TestListsAndSelectors(t *testing.T) {
	in := clusters(t)
	for i := range 7 {
		object := named(fmt.Sprintf("vc-%d", i))
		object.Labels = map[string]string{"even": fmt.Sprint(i%2 == 0)}
		if i == 3 {
			object.Spec.Kubernetes.Version = "v1.36.3"
		}
		create(t, in, object)
	}
	for selector, want := range map[metav1.ListOptions]int{
		{}:                           7,
		{LabelSelector: "even=true"}: 4,
		{FieldSelector: "spec.kubernetes.version=v1.36.3"}:            1,
		{FieldSelector: "status.phase=Pending"}:                       7,
		{FieldSelector: "status.phase!=Pending"}:                      0,
		{FieldSelector: "metadata.name=vc-2"}:                         1,
		{FieldSelector: "status.phase=Pending", ResourceVersion: "0"}: 7,
	} {
		list, err := in.List(t.Context(), selector)
		if err != nil || len(list.Items) != want {
			t.Errorf("%+v: got %d, %v; want %d", selector, len(list.Items), err, want)
		}
	}
	if _, err := in.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.paused=true"}); !apierrors.IsBadRequest(err) {
		t.Errorf("a field that cannot be selected: got %v, want BadRequest", err)
	}
	seen, pages, next := map[string]bool{}, 0, ""
	for {
		page, err := in.List(t.Context(), metav1.ListOptions{Limit: 3, Continue: next})
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, item := range page.Items {
			seen[item.Name] = true
		}
		if next = page.Continue; next == "" {
			break
		}
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("pages: got %d objects on %d pages, want 7 on 3", len(seen), pages)
	}
	if err := in.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "even=true"}); err != nil {
		t.Fatal(err)
	}
	if list, err := in.List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 3 {
		t.Errorf("after deleting the even ones: got %d, %v; want 3", len(list.Items), err)
	}
}

func TestMetadataOnly(t *testing.T) {
	in := clusters(t)
	namespace := create(t, in, named("demo")).Namespace
	client, err := metadata.NewForConfig(shared.host.Config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.Resource(v1.SchemeGroupVersion.WithResource("virtualclusters")).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "demo" {
		t.Errorf("got %+v, %v; want the metadata of demo", list, err)
	}
}

// TestStreamingList is what an informer does: existing objects, a bookmark that says so, then changes.
func TestStreamingList(t *testing.T) {
	in := clusters(t)
	create(t, in, named("first"))
	watcher, err := in.Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	expectEvent := func(kind watch.EventType, name string) *v1.VirtualCluster {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		for {
			select {
			case event := <-watcher.ResultChan():
				object, ok := event.Object.(*v1.VirtualCluster)
				if !ok {
					t.Fatalf("got %s of %T, want %s of %s", event.Type, event.Object, kind, name)
				}
				if event.Type == watch.Bookmark && kind != watch.Bookmark {
					continue
				}
				if event.Type != kind || object.Name != name {
					t.Fatalf("got %s of %q, want %s of %q", event.Type, object.Name, kind, name)
				}
				return object
			case <-ctx.Done():
				t.Fatalf("no event, want %s of %s", kind, name)
			}
		}
	}
	expectEvent(watch.Added, "first")
	bookmark := expectEvent(watch.Bookmark, "")
	if bookmark.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
		t.Errorf("the bookmark does not end the list: %v", bookmark.Annotations)
	}
	create(t, in, named("second"))
	expectEvent(watch.Added, "second")
	if err := in.Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expectEvent(watch.Deleted, "first")
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

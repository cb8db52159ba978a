// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"

	v1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned/fake"
	"garret.dev/garret/generated/informers/externalversions"
)

const namespace = "team-a"

// newFake is a clientset that keeps objects, and applies them as the server does.
// It answers no subresource by itself: kubeconfig is a reactor's.
func newFake(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	client.PrependReactor("create", "virtualclusters", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "kubeconfig" {
			return false, nil, nil
		}
		request := action.(clienttesting.CreateAction).GetObject().(*v1.KubeconfigRequest).DeepCopy()
		request.Status.Kubeconfig = []byte("kubeconfig of " + action.GetNamespace() + "/" + action.(clienttesting.CreateActionImpl).Name)
		return true, request, nil
	})
	return client
}

func becomeReady(t *testing.T, client *fake.Clientset, name string) {
	t.Helper()
	in := client.TenancyV1().VirtualClusters(namespace)
	object, err := in.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Error(err)
		return
	}
	object.Status.Phase = v1.PhaseReady
	object.Status.Conditions = []metav1.Condition{{
		Type: v1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: object.Generation,
	}}
	if _, err := in.UpdateStatus(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
}

// pending acts when the program says that it waits.
type pending struct {
	strings.Builder
	t      *testing.T
	client *fake.Clientset
	act    func()
}

func (p *pending) Write(line []byte) (int, error) {
	if act := p.act; act != nil && strings.Contains(string(line), " is ") {
		p.act = nil
		awaitWatch(p.t, p.client)
		act()
	}
	return p.Builder.Write(line)
}

// awaitWatch returns when a watch of virtual clusters has begun. A fake's watch tells
// what was made or changed since its resourceVersion, but not what was deleted between
// an informer's list and its watch.
func awaitWatch(t *testing.T, client *fake.Clientset) {
	t.Helper()
	begun := func(context.Context) (bool, error) {
		return slices.ContainsFunc(client.Actions(), func(action clienttesting.Action) bool {
			return action.Matches("watch", "virtualclusters")
		}), nil
	}
	if err := wait.PollUntilContextCancel(t.Context(), time.Millisecond, true, begun); err != nil {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	client := newFake(&v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "somebody-elses", Namespace: namespace}})
	var out strings.Builder
	progress := &pending{t: t, client: client, act: func() { becomeReady(t, client, "example") }}
	if err := run(t.Context(), client, namespace, "example", &out, progress); err != nil {
		t.Fatal(err)
	}
	if want := "kubeconfig of team-a/example"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if want := "virtual clusters in team-a: [example]"; !strings.Contains(progress.String(), want) {
		t.Errorf("got %q, want %q in it", progress.String(), want)
	}
}

func TestWaitEndsWithTheObject(t *testing.T) {
	client := newFake(&v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "example", Namespace: namespace}})
	progress := &pending{t: t, client: client, act: func() {
		if err := client.TenancyV1().VirtualClusters(namespace).Delete(context.Background(), "example", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}}
	err := waitUntilReady(t.Context(), client, namespace, "example", progress)
	if err == nil || !strings.Contains(err.Error(), "deleted") && !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want to hear that it was deleted", err)
	}
}

// TestFakeApplies wants the fake to know who owns which field, and that conflicts are conflicts.
func TestFakeApplies(t *testing.T) {
	client := newFake()
	in := client.TenancyV1().VirtualClusters(namespace)
	applied, err := apply(t.Context(), client, namespace, "example")
	if err != nil {
		t.Fatal(err)
	}
	owned, err := applyv1.ExtractVirtualCluster(applied, fieldManager)
	if err != nil {
		t.Fatal(err)
	}
	if size := owned.Spec.ControlPlane.Storage.Size; size == nil || size.Cmp(resource.MustParse("2Gi")) != 0 {
		t.Errorf("the manager owns the size %v, want 2Gi", size)
	}
	other := applyv1.VirtualCluster("example", namespace).WithSpec(applyv1.VirtualClusterSpec().
		WithControlPlane(applyv1.ControlPlaneSpec().WithStorage(applyv1.StorageSpec().WithSize(resource.MustParse("3Gi")))))
	if _, err := in.Apply(t.Context(), other, metav1.ApplyOptions{FieldManager: "other"}); !apierrors.IsConflict(err) {
		t.Errorf("another manager: got %v, want a conflict", err)
	}
	got, err := in.Apply(t.Context(), other, metav1.ApplyOptions{FieldManager: "other", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Spec.ControlPlane.Storage.Size.Cmp(resource.MustParse("3Gi")) != 0 || got.Labels["example.com/made-by"] != fieldManager {
		t.Errorf("got size %s, labels %v; want 3Gi, and the label of the first manager", got.Spec.ControlPlane.Storage.Size.String(), got.Labels)
	}
}

// TestSimpleFake is of the older constructor, which keeps no managed fields.
func TestSimpleFake(t *testing.T) {
	object := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "example", Namespace: namespace, Labels: map[string]string{"a": "b"}}}
	client := fake.NewSimpleClientset(object, &v1.VirtualClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "small"}})
	for selector, want := range map[string]int{"a=b": 1, "a=c": 0} {
		found, err := client.TenancyV1().VirtualClusters(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil || len(found.Items) != want {
			t.Errorf("list %s: got %v, %v; want %d", selector, found, err, want)
		}
	}
	if _, err := client.TenancyV1().VirtualClusterTemplates().Get(t.Context(), "small", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// TestListers wants informers of all kinds to follow what happens.
func TestListers(t *testing.T) {
	client := newFake(
		&v1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: v1.LocalHostCluster}},
		&v1.VirtualClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "small"}},
	)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	factory := externalversions.NewSharedInformerFactory(client, 0)
	kinds := factory.Tenancy().V1()
	added := make(chan any, 1)
	if _, err := kinds.VirtualClusters().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(object any) { added <- object }}); err != nil {
		t.Fatal(err)
	}
	templates, hosts := kinds.VirtualClusterTemplates().Lister(), kinds.HostClusters().Lister()
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel()
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			t.Fatalf("%v is not in the cache", kind)
		}
	}
	if _, err := templates.Get("small"); err != nil {
		t.Error(err)
	}
	if _, err := hosts.Get(v1.LocalHostCluster); err != nil {
		t.Error(err)
	}
	if _, err := apply(ctx, client, namespace, "example"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-added:
	case <-ctx.Done():
		t.Fatal("the informer was not told of what was applied")
	}
	found, err := kinds.VirtualClusters().Lister().VirtualClusters(namespace).List(labels.Everything())
	if err != nil || len(found) != 1 || found[0].Name != "example" {
		t.Errorf("got %v, %v; want the one that was applied", found, err)
	}
}

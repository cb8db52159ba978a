// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/lineage/lineagetest"
)

// TestRule carries objects of a kind without a Go type, and brings their status back.
func TestRule(t *testing.T) {
	widgets := schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "widgets"}
	kinds := map[schema.GroupVersionResource]string{widgets: "WidgetList"}
	virtual, host := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds), dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)
	translator := testTranslator()
	inside, outside := engine.NewInformers(virtual), engine.NewInformers(host)
	works := &engine.Engine{}
	b := &builder{engine: works, Config: Config{Translator: translator, Recorder: &record.FakeRecorder{},
		Metrics: engine.NewMetrics(metrics.NewKubeRegistry()), Clock: clock.RealClock{}, Evidence: lineagetest.Certain{}}}
	b.Rules = Rules{Virtual: virtual, Host: host, Kinds: []RuledKind{{Kind: "Widget", KindRule: tenancyv1.KindRule{
		APIVersion: "example.org/v1", Resource: "widgets", Fields: []tenancyv1.FieldRule{{Path: "spec.size"}}, Status: []string{"status.phase"}}}}}
	b.Virtual, b.Host = &Virtual{Informers: inside}, &Host{Informers: outside}
	b.rules()
	b.byRule()
	if b.err != nil {
		t.Fatal(b.err)
	}
	works.AddInformers(append(inside.Followed(), outside.Followed()...)...)
	ctx, cancel := context.WithCancel(t.Context())
	ready, started, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	close(ready)
	go func() {
		defer close(done)
		_ = works.Run(ctx, engine.Stages{Ready: ready, Started: func() { close(started) }, Settle: func(context.Context) error { return nil }})
	}()
	t.Cleanup(func() { cancel(); <-done })
	<-started

	there, here := host.Resource(widgets).Namespace(translator.Cluster().HostNamespace), virtual.Resource(widgets).Namespace("shop")
	name := translator.HostName("shop", "one")
	await := func(what string, condition func(ctx context.Context) bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) { return condition(ctx), nil })
		if err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
	widget := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Widget",
		"metadata": map[string]any{"name": "one", "namespace": "shop", "uid": "u"}, "spec": map[string]any{"size": int64(3), "secret": "stays"}}}
	if _, err := here.Create(ctx, widget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var found *unstructured.Unstructured
	await("it is on the host", func(ctx context.Context) bool {
		var err error
		found, err = there.Get(ctx, name, metav1.GetOptions{})
		return err == nil
	})
	if spec := found.Object["spec"].(map[string]any); len(spec) != 1 || spec["size"] != int64(3) {
		t.Errorf("spec on the host: got %v, want what the rule names", spec)
	}
	if err := unstructured.SetNestedField(found.Object, "Ready", "status", "phase"); err != nil {
		t.Fatal(err)
	}
	if _, err := there.UpdateStatus(ctx, found, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await("its status is inside", func(ctx context.Context) bool {
		found, err := here.Get(ctx, "one", metav1.GetOptions{})
		phase := ""
		if err == nil {
			phase, _, _ = unstructured.NestedString(found.Object, "status", "phase")
		}
		return phase == "Ready"
	})
	if err := here.Delete(ctx, "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await("it is gone from the host", func(ctx context.Context) bool {
		_, err := there.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

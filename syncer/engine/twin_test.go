// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/lineage/lineagetest"
	"garret.dev/garret/syncer/translate"
)

// classes are a kind of cluster scope on both sides. Stale counts the host objects that
// were said to have what the virtual one asks for, and did not.
type classes struct {
	translator *translate.Translator
	stale      *atomic.Int32
}

func (classes) Wanted(context.Context, *schedulingv1.PriorityClass) (bool, error) { return true, nil }

func (c classes) ToHost(_ context.Context, virtual, host *schedulingv1.PriorityClass) error {
	c.translator.Mark(host, translate.IdentityFor(virtual), virtual.Labels, nil)
	host.Value = virtual.Value
	return nil
}

func (c classes) FromHost(_ context.Context, virtual, host *schedulingv1.PriorityClass, carried bool) error {
	if carried && host.Value != virtual.Value {
		c.stale.Add(1)
	}
	return nil
}

// TestTwinWithoutANamespace follows one from creation to its end, beside one that
// another cluster made.
func TestTwinWithoutANamespace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	translator := translate.New(translate.Cluster{ID: "one", HostNamespace: "team"})
	foreign := &schedulingv1.PriorityClass{}
	translate.New(translate.Cluster{ID: "two", HostNamespace: "team"}).Mark(foreign, translate.Identity{NamespacedName: types.NamespacedName{Name: "high"}, UID: "u"}, nil, nil)
	virtual, host := fake.NewClientset(), fake.NewClientset(foreign)
	inside, outside := NewInformers(virtual), NewInformers(host)
	resource := schedulingv1.SchemeGroupVersion.WithResource("priorityclasses")
	var stale atomic.Int32
	twin := NewTwin(TwinOptions[*schedulingv1.PriorityClass]{
		Kind:       classes{translator, &stale},
		Virtual:    NewStore(inside, resource, Cluster(virtual.SchedulingV1().PriorityClasses), StoreOptions{}),
		Host:       NewStore(outside, resource, Cluster(host.SchedulingV1().PriorityClasses), StoreOptions{}),
		Translator: translator, Recorder: &record.FakeRecorder{}, Metrics: NewMetrics(metrics.NewKubeRegistry()), Clock: clock.RealClock{}, Evidence: lineagetest.Certain{},
	})
	controller, err := twin.Controller(1)
	if err != nil {
		t.Fatal(err)
	}
	works := &Engine{}
	works.AddInformers(append(inside.Followed(), outside.Followed()...)...)
	works.AddControllers(controller)
	ready, started, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	close(ready)
	go func() {
		defer close(done)
		_ = works.Run(ctx, Stages{Ready: ready, Started: func() { close(started) }, Settle: func(context.Context) error { return nil }})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	<-started

	there := func(value int32) func(context.Context) bool {
		return func(ctx context.Context) bool {
			found, err := host.SchedulingV1().PriorityClasses().Get(ctx, translator.HostName("", "high"), metav1.GetOptions{})
			return err == nil && found.Namespace == "" && found.Value == value
		}
	}
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "high", UID: "u"}, Value: 7}
	if _, err := virtual.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is on the host, in no namespace", there(7))
	class.Value = 8
	if _, err := virtual.SchedulingV1().PriorityClasses().Update(ctx, class, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is found and changed", there(8))
	if err := virtual.SchedulingV1().PriorityClasses().Delete(ctx, "high", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func(ctx context.Context) bool {
		_, err := host.SchedulingV1().PriorityClasses().Get(ctx, translator.HostName("", "high"), metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if n := stale.Load(); n > 0 {
		t.Errorf("FromHost got the object from before a write %d times, as the one that has what is asked for", n)
	}
	if _, err := host.SchedulingV1().PriorityClasses().Get(ctx, foreign.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("one of another cluster: got %v, want it to stay", err)
	}
}

func eventually(t *testing.T, what string, condition func(ctx context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		return condition(ctx), nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

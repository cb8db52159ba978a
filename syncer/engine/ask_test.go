// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics"
	testingclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/syncer/quota"
)

// guarded is a store of pods of a host that refuses every write.
func guarded(t *testing.T, ledger *quota.Ledger, refuses bool) (*Store[*corev1.Pod], *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset()
	if refuses {
		client.PrependReactor("*", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if verb := action.GetVerb(); verb == "list" || verb == "watch" {
				return false, nil, nil
			}
			return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("a rule"))
		})
	}
	informers := NewInformers(client)
	store := NewStore(informers, corev1.SchemeGroupVersion.WithResource("pods"), client.CoreV1().Pods, StoreOptions{Namespace: "team"})
	if err := store.Guard(NewBreaker(corev1.Resource("pods"), NewMetrics(metrics.NewKubeRegistry()), testingclock.NewFakeClock(metav1.Now().Time)), ledger); err != nil {
		t.Fatal(err)
	}
	for _, informer := range informers.Followed() {
		go informer.RunWithContext(t.Context())
	}
	eventually(t, "the watch has begun", func(context.Context) bool {
		for _, action := range client.Actions() {
			if action.GetVerb() == "watch" {
				return true
			}
		}
		return false
	})
	return store, client
}

// TestEachWriteIsHeldBack makes every kind of write twice, and the same with another content.
func TestEachWriteIsHeldBack(t *testing.T) {
	store, client := guarded(t, nil, true)
	writer := store.Writer("team")
	named := func(image string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", ResourceVersion: image}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
	}
	for name, write := range map[string]func(content string) error{
		"create": func(content string) error {
			_, err := writer.Create(t.Context(), named(content), metav1.CreateOptions{})
			return err
		},
		"update": func(content string) error {
			_, err := writer.Update(t.Context(), named(content+"u"), metav1.UpdateOptions{})
			return err
		},
		"patch": func(content string) error {
			_, err := writer.Patch(t.Context(), "web", types.MergePatchType, []byte(content), metav1.PatchOptions{})
			return err
		},
		"delete": func(content string) error {
			uid := types.UID(content)
			return writer.Delete(t.Context(), "web", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		},
		"subresource": func(content string) error {
			var none *corev1.Pod
			_, err := store.Ask("resize", none, named(content), func() (*corev1.Pod, error) {
				return client.CoreV1().Pods("team").UpdateResize(t.Context(), "web", named(content), metav1.UpdateOptions{})
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(client.Actions())
			for _, content := range []string{"one", "one", "one", "two", "two", "one"} {
				err := write(content)
				if held, all := heldBy(err); len(held) != 1 || !all || !apierrors.IsForbidden(err) {
					t.Errorf("got %v, want the host's answer, and that it is held back", err)
				}
			}
			if asked := len(client.Actions()) - before; asked != 2 {
				t.Errorf("the host was asked %d times, want once for each content", asked)
			}
		})
	}
}

// TestStatusIsNotAskedFor has the host change the status of what it refuses to change.
func TestStatusIsNotAskedFor(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", ResourceVersion: "1"}}
	before := digestOf(pod)
	pod.ResourceVersion, pod.Status.Phase = "2", corev1.PodRunning
	if digestOf(pod) != before {
		t.Error("a status makes another request of it")
	}
	pod.Labels = map[string]string{"tier": "front"}
	if digestOf(pod) == before {
		t.Error("another label is the same request")
	}
}

// TestWritesAreCharged has a ledger with room for one, whom the host never hears of the next.
func TestWritesAreCharged(t *testing.T) {
	ledger := quota.New("team", "demo", testingclock.NewFakePassiveClock(metav1.Now().Time))
	store, client := guarded(t, ledger, false)
	writer := store.Writer("team")
	create := func(name string) error {
		_, err := writer.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)}}, metav1.CreateOptions{})
		return err
	}
	if err := create("early"); !passes(err) {
		t.Errorf("before the quota is known: got %v, want it to be tried again", err)
	}
	ledger.Set(quota.Bounds{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}})
	eventually(t, "the first is created", func(context.Context) bool { return create("first") == nil })
	before := len(client.Actions())
	for range 3 {
		err := create("second")
		if told := refusals(OnHost("create", err)); len(told) != 1 || told[0].reason != reasonQuota || told[0].byHost {
			t.Errorf("got %v, want a refusal of the virtual cluster's own", err)
		}
		if held, _ := heldBy(err); len(held) != 1 {
			t.Errorf("got %v, want it to be held back", err)
		}
	}
	if asked := len(client.Actions()) - before; asked > 0 {
		t.Errorf("the host was asked %d times, want never", asked)
	}
	if err := writer.Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the place is free", func(context.Context) bool {
		_, used, _ := ledger.Status()
		return used.Pods().IsZero()
	})
}

// TestWhatIsThereIsNotHeldBack has the host say of an object that is there already that it is invalid,
// as it does where the object itself has what it asks for. Nobody would take such a refusal back.
func TestWhatIsThereIsNotHeldBack(t *testing.T) {
	store, client := guarded(t, nil, false)
	client.PrependReactor("create", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind(), "web", nil)
	})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web"}}
	if err := client.Tracker().Add(pod); err != nil {
		t.Fatal(err)
	}
	writer := store.Writer("team")
	if _, err := writer.Create(t.Context(), pod, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("it is there: got %v, want that it exists", err)
	}
	if waiting := len(store.breaker.waiters); waiting > 0 {
		t.Errorf("%d writes are held back, want none", waiting)
	}
	other := pod.DeepCopy()
	other.Name = "other"
	if _, err := writer.Create(t.Context(), other, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("it is not there: got %v, want the host's refusal", err)
	}
	if waiting := len(store.breaker.waiters); waiting != 1 {
		t.Errorf("%d writes are held back, want the one that is refused", waiting)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// sharedChecks are what two replicas on one datastore must do. The last kills one.
var sharedChecks = []struct {
	name string
	// connection says that it is held to on every way to a datastore.
	connection bool
	run        func(t *testing.T, a, b *replica, namespace string)
}{
	{"what one writes the other lists at once", true, listsOfTheOther},
	{"what one writes the other's watch sees, in order", true, watchOfTheOther},
	{"no update is lost between two", false, concurrentUpdates},
	{"one name is made once", false, concurrentCreates},
	{"a host cluster's limit holds for both", false, limitOfBoth},
	{"one template is the default of both", false, oneDefault},
	{"one goes on when the other is killed", true, killedReplica},
}

func listsOfTheOther(t *testing.T, a, b *replica, namespace string) {
	for i := range 20 {
		writer, reader := a, b
		if i%2 == 1 {
			writer, reader = b, a
		}
		name := fmt.Sprintf("vc-%d", i)
		made := writer.create(t, namespace, name)
		if found := reader.list(t, namespace)[name]; found.UID != made.UID {
			t.Fatalf("a list of the other replica after the create of %s does not have it", name)
		}
	}
}

func watchOfTheOther(t *testing.T, a, b *replica, namespace string) {
	begin, err := b.clusters(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.clusters(namespace).Watch(t.Context(), metav1.ListOptions{ResourceVersion: begin.ResourceVersion, TimeoutSeconds: ptr.To[int64](90)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var made []string
	for i := range 20 {
		writer := a
		if i%3 == 2 {
			writer = b
		}
		made = append(made, writer.create(t, namespace, fmt.Sprintf("vc-%d", i)).Name)
	}
	last := begin.ResourceVersion
	for _, name := range made {
		got := expect(t, w, watch.Added, name)
		if compareVersions(t, got.ResourceVersion, last) <= 0 {
			t.Errorf("%s: got version %s after %s, want a higher one", name, got.ResourceVersion, last)
		}
		last = got.ResourceVersion
	}
}

// concurrentUpdates counts up in one object from both sides at once.
func concurrentUpdates(t *testing.T, a, b *replica, namespace string) {
	a.create(t, namespace, "demo")
	const each = 15
	var group sync.WaitGroup
	for _, r := range []*replica{a, b, a, b} {
		group.Go(func() {
			for range each {
				err := retry.OnError(retry.DefaultBackoff, apierrors.IsConflict, func() error { return countUp(t.Context(), r, namespace) })
				for apierrors.IsConflict(err) {
					err = countUp(t.Context(), r, namespace)
				}
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	group.Wait()
	got := b.list(t, namespace)["demo"]
	if count := got.Annotations["example.com/count"]; count != strconv.Itoa(4*each) {
		t.Errorf("got a count of %s, want %d: updates were lost", count, 4*each)
	}
}

func countUp(ctx context.Context, r *replica, namespace string) error {
	object, err := r.clusters(namespace).Get(ctx, "demo", metav1.GetOptions{})
	if err != nil {
		return err
	}
	count, _ := strconv.Atoi(object.Annotations["example.com/count"])
	metav1.SetMetaDataAnnotation(&object.ObjectMeta, "example.com/count", strconv.Itoa(count+1))
	_, err = r.clusters(namespace).Update(ctx, object, metav1.UpdateOptions{})
	return err
}

func concurrentCreates(t *testing.T, a, b *replica, namespace string) {
	for i := range 10 {
		name := fmt.Sprintf("vc-%d", i)
		results := make(chan error, 4)
		for _, r := range []*replica{a, b, a, b} {
			go func() {
				_, err := r.clusters(namespace).Create(t.Context(), named(name), metav1.CreateOptions{})
				results <- err
			}()
		}
		won := 0
		for range cap(results) {
			switch err := <-results; {
			case err == nil:
				won++
			case !apierrors.IsAlreadyExists(err):
				t.Errorf("%s: got %v, want AlreadyExists", name, err)
			}
		}
		if won != 1 {
			t.Errorf("%s was made %d times", name, won)
		}
	}
}

// limitOfBoth creates more through both than there is room for.
func limitOfBoth(t *testing.T, a, b *replica, namespace string) {
	setLimit := func(limit string) {
		t.Helper()
		framework.Eventually(t, "the limit is "+limit, func(ctx context.Context) (bool, error) {
			_, err := a.client.TenancyV1().HostClusters().Patch(ctx, v1.LocalHostCluster, types.MergePatchType,
				[]byte(`{"spec":{"maxVirtualClusters":`+limit+`}}`), metav1.PatchOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil // the server makes it once it runs
			}
			return err == nil, err
		})
	}
	const room, rounds, tries = 3, 5, 16
	for round := range rounds {
		there, err := a.clusters(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		before := len(b.list(t, namespace))
		setLimit(strconv.Itoa(len(there.Items) + room))
		var all sync.WaitGroup
		for i := range tries {
			all.Go(func() {
				creator := []*replica{a, b}[i%2]
				_, err := creator.clusters(namespace).Create(t.Context(), named(fmt.Sprintf("limited-%d-%d", round, i)), metav1.CreateOptions{})
				if err != nil && !apierrors.IsForbidden(err) {
					t.Errorf("create: got %v, want success or Forbidden", err)
				}
			})
		}
		all.Wait()
		if made := len(b.list(t, namespace)) - before; made != room {
			t.Errorf("round %d: %d were made, want %d", round, made, room)
		}
	}
	setLimit("null")
}

// oneDefault marks several templates at one time through both, new ones and old ones.
func oneDefault(t *testing.T, a, b *replica, _ string) {
	templates := []tenancyv1.VirtualClusterTemplateInterface{a.client.TenancyV1().VirtualClusterTemplates(), b.client.TenancyV1().VirtualClusterTemplates()}
	template := func(name string, isDefault bool) *v1.VirtualClusterTemplate {
		return &v1.VirtualClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1.VirtualClusterTemplateSpec{Default: isDefault, Versions: []v1.TemplateVersion{{Version: "1.0.0"}}}}
	}
	const rounds, tries = 5, 8
	for round := range rounds {
		var all sync.WaitGroup
		for i := range tries {
			name := fmt.Sprintf("template-%d-%d", round, i)
			if i >= tries/2 {
				if _, err := templates[0].Create(t.Context(), template(name, false), metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			all.Go(func() {
				var err error
				if i < tries/2 {
					_, err = templates[i%2].Create(t.Context(), template(name, true), metav1.CreateOptions{})
				} else {
					_, err = templates[i%2].Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"default":true}}`), metav1.PatchOptions{})
				}
				if err != nil && !apierrors.IsInvalid(err) {
					t.Errorf("mark %s: got %v, want success or Invalid", name, err)
				}
			})
		}
		all.Wait()
		there, err := templates[1].List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var marked []string
		for _, item := range there.Items {
			if item.Spec.Default {
				marked = append(marked, item.Name)
			}
		}
		if len(marked) != 1 {
			t.Errorf("round %d: %q are the default, want one", round, marked)
		}
		if err := templates[0].DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// killedReplica kills one in the middle of writes; all that either acknowledged must be there.
func killedReplica(t *testing.T, a, b *replica, namespace string) {
	var acknowledged []string
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for i := range 1000 {
			name := fmt.Sprintf("from-a-%d", i)
			if _, err := a.clusters(namespace).Create(context.WithoutCancel(t.Context()), named(name), metav1.CreateOptions{}); err != nil {
				return
			}
			acknowledged = append(acknowledged, name)
		}
	}()
	framework.Eventually(t, "some are written", func(ctx context.Context) (bool, error) {
		list, err := b.clusters(namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) > 10, err
	})
	_ = a.process.End(os.Kill)
	<-killed
	acknowledged = append(acknowledged, b.create(t, namespace, "from-b").Name)
	found := b.list(t, namespace)
	for _, name := range acknowledged {
		if _, there := found[name]; !there {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	a.start(t)
	if again := a.list(t, namespace); len(again) != len(found) {
		t.Errorf("started again: got %d objects, want %d", len(again), len(found))
	}
}

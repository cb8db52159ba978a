// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// checks are what every datastore must do. They run one after the other.
var checks = []struct {
	name string
	// connection says that it is held to on every way to a datastore.
	connection bool
	run        func(t *testing.T, r *replica, namespace string)
}{
	{"objects are made, changed and deleted", true, lifeOfAnObject},
	{"a list in pages is of one moment", true, pages},
	{"a list has every write before it", false, listsAfterWrites},
	{"a watch goes on from a version", true, watchFromVersion},
	{"a streaming list ends with a bookmark", true, streamingList},
	{"a restart keeps everything", true, restart},
	{"old versions are compacted", false, compaction},
}

func lifeOfAnObject(t *testing.T, r *replica, namespace string) {
	in := r.clusters(namespace)
	made := r.create(t, namespace, "demo")
	if _, err := in.Create(t.Context(), named("demo"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("second create: got %v, want AlreadyExists", err)
	}
	metav1.SetMetaDataLabel(&made.ObjectMeta, "changed", "yes")
	changed, err := in.Update(t.Context(), made, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if changed.Labels["changed"] == "" || changed.UID != made.UID || newer(t, changed, made) <= 0 {
		t.Errorf("update: got %+v, want the change, the same UID and a higher version", changed.ObjectMeta)
	}
	if _, err := in.Update(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("update of an old version: got %v, want a conflict", err)
	}
	if err := in.Delete(t.Context(), "demo", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &made.ResourceVersion}}); !apierrors.IsConflict(err) {
		t.Errorf("delete of an old version: got %v, want a conflict", err)
	}
	if err := in.Delete(t.Context(), "demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Get(t.Context(), "demo", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("get after the delete: got %v, want NotFound", err)
	}
	again := r.create(t, namespace, "demo")
	if again.UID == made.UID || newer(t, again, changed) <= 0 {
		t.Errorf("made again: got UID %s and version %s, want others", again.UID, again.ResourceVersion)
	}
}

// newer compares versions as the API allows since Kubernetes 1.35: as numbers.
func newer(t *testing.T, a, b *v1.VirtualCluster) int {
	t.Helper()
	return compareVersions(t, a.ResourceVersion, b.ResourceVersion)
}

func compareVersions(t *testing.T, a, b string) int {
	t.Helper()
	x, err := strconv.ParseUint(a, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	y, err := strconv.ParseUint(b, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func pages(t *testing.T, r *replica, namespace string) {
	const count = 7
	for i := range count {
		r.create(t, namespace, fmt.Sprintf("vc-%d", i))
	}
	first, err := r.clusters(namespace).List(t.Context(), metav1.ListOptions{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Items) != 3 || first.Continue == "" || first.RemainingItemCount == nil || *first.RemainingItemCount != count-3 {
		t.Errorf("first page: got %d items, continue %q, remaining %v; want 3 and %d more", len(first.Items), first.Continue, first.RemainingItemCount, count-3)
	}
	// It is no longer there, but it was at the moment of the first page; the new one was not.
	if err := r.clusters(namespace).Delete(t.Context(), "vc-6", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.create(t, namespace, "vc-5-late")
	names, token := []string{}, first.Continue
	for token != "" {
		page, err := r.clusters(namespace).List(t.Context(), metav1.ListOptions{Limit: 3, Continue: token})
		if err != nil {
			t.Fatal(err)
		}
		if page.ResourceVersion != first.ResourceVersion {
			t.Errorf("page: got version %s, want %s like the first", page.ResourceVersion, first.ResourceVersion)
		}
		for _, item := range page.Items {
			names = append(names, item.Name)
		}
		token = page.Continue
	}
	if fmt.Sprint(names) != "[vc-3 vc-4 vc-5 vc-6]" {
		t.Errorf("further pages: got %v, want vc-3 to vc-6", names)
	}
}

func listsAfterWrites(t *testing.T, r *replica, namespace string) {
	for i := range 20 {
		name := fmt.Sprintf("vc-%d", i)
		r.create(t, namespace, name)
		if _, found := r.list(t, namespace)[name]; !found {
			t.Fatalf("a list after the create of %s does not have it", name)
		}
	}
}

func watchFromVersion(t *testing.T, r *replica, namespace string) {
	begin, err := r.clusters(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made := r.create(t, namespace, "demo")
	metav1.SetMetaDataLabel(&made.ObjectMeta, "changed", "yes")
	if made, err = r.clusters(namespace).Update(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w, err := r.clusters(namespace).Watch(t.Context(), metav1.ListOptions{ResourceVersion: begin.ResourceVersion, AllowWatchBookmarks: true, TimeoutSeconds: ptr.To[int64](90)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, watch.Added, "demo")
	if got := expect(t, w, watch.Modified, "demo"); got.ResourceVersion != made.ResourceVersion || got.Labels["changed"] == "" {
		t.Errorf("changed: got %s, want version %s", got.ResourceVersion, made.ResourceVersion)
	}
	if err := r.clusters(namespace).Delete(t.Context(), "demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := expect(t, w, watch.Deleted, "demo"); newer(t, got, made) <= 0 {
		t.Errorf("deleted: got version %s, want one above %s", got.ResourceVersion, made.ResourceVersion)
	}
}

// expect waits for an event, leaving out bookmarks unless one is wanted.
func expect(t *testing.T, w watch.Interface, kind watch.EventType, name string) *v1.VirtualCluster {
	t.Helper()
	timeout := time.After(framework.Timeout)
	for {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				t.Fatalf("the watch ended before %s %s", kind, name)
			}
			if event.Type == watch.Bookmark && kind != watch.Bookmark {
				continue
			}
			got, ok := event.Object.(*v1.VirtualCluster)
			if !ok || event.Type != kind || got.Name != name {
				t.Fatalf("got %s %+v, want %s %s", event.Type, event.Object, kind, name)
			}
			return got
		case <-timeout:
			t.Fatalf("no %s %s arrived", kind, name)
		}
	}
}

func streamingList(t *testing.T, r *replica, namespace string) {
	r.create(t, namespace, "a")
	last := r.create(t, namespace, "b")
	w, err := r.clusters(namespace).Watch(t.Context(), metav1.ListOptions{AllowWatchBookmarks: true,
		SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, TimeoutSeconds: ptr.To[int64](90)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, watch.Added, "a")
	expect(t, w, watch.Added, "b")
	mark := expect(t, w, watch.Bookmark, "")
	if mark.Annotations[metav1.InitialEventsAnnotationKey] != "true" || newer(t, mark, last) < 0 {
		t.Errorf("bookmark: got %v at %s, want the end of the initial events at %s or later", mark.Annotations, mark.ResourceVersion, last.ResourceVersion)
	}
}

func restart(t *testing.T, r *replica, namespace string) {
	r.create(t, namespace, "demo")
	before := r.list(t, namespace)["demo"]
	r.stop(t)
	r.start(t)
	after := r.list(t, namespace)["demo"]
	if after.UID != before.UID || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("after a restart: got %+v, want %+v", after.ObjectMeta, before.ObjectMeta)
	}
	if next := r.create(t, namespace, "next"); newer(t, next, &after) <= 0 {
		t.Errorf("the version after a restart, %s, is not above %s", next.ResourceVersion, after.ResourceVersion)
	}
}

// compaction makes enough history that some is let go; a thousand revisions
// are kept in a SQL database whatever is asked for.
func compaction(t *testing.T, r *replica, namespace string) {
	begin := r.create(t, namespace, "demo")
	patches := make(chan int)
	failed := make(chan error, 8)
	for range cap(failed) {
		go func() {
			var last error
			for i := range patches {
				patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/turn":"%d"}}}`, i)
				if _, err := r.clusters(namespace).Patch(t.Context(), fmt.Sprintf("vc-%d", i%cap(failed)), "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
					last = err
				}
			}
			failed <- last
		}()
	}
	for i := range cap(failed) {
		r.create(t, namespace, fmt.Sprintf("vc-%d", i))
	}
	for i := range 1100 {
		patches <- i
	}
	close(patches)
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Fatalf("patch: %v", err)
		}
	}
	// What runs for a while has old versions in memory and looks only now and then
	// which of them the datastore has let go. What starts has to ask for them.
	r.stop(t)
	r.start(t)
	framework.Eventually(t, "the first version is compacted", func(ctx context.Context) (bool, error) {
		_, err := r.clusters(namespace).List(ctx, metav1.ListOptions{ResourceVersion: begin.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact, Limit: 1})
		if apierrors.IsResourceExpired(err) {
			return true, nil
		}
		return false, err
	})
	if found := r.list(t, namespace); len(found) != 1+cap(failed) || found["demo"].ResourceVersion != begin.ResourceVersion {
		t.Errorf("after compaction: got %d objects, want all %d, and demo unchanged", len(found), 1+cap(failed))
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

func watchChecks() []check {
	return []check{
		{"watch", "a watch from a version tells every change after it, in order, and none before", []need{several}, watchFromVersion},
		{"watch-one", "a watch of one name tells of that object alone", []need{several}, watchOne},
		{"watch-only", "a watch tells of changes", nil, watchOnly},
		{"watch-labels", "an object that leaves the selection of labels is DELETED, one that enters it is ADDED", []need{several}, watchLabels},
		{"watch-fields", "an object that leaves the selection of fields is DELETED", []need{aStatus, several}, watchFields},
		{"watch-bookmarks", "a watch that asks for bookmarks gets one before it ends", nil, watchBookmarks},
		{"watch-list", "a streaming list sends what is there, a bookmark that says so, then changes", []need{several}, watchList},
		{"watch-list-metadata", "so does a streaming list of metadata alone, by which controllers of the host fill their caches", []need{several}, watchListMetadata},
		{"watch-ends", "a watch ends after timeoutSeconds", []need{noObject}, watchEnds},
		{"watch-too-old", "a watch from a version before the window is 410 Expired", nil, watchTooOld},
		{"watch-deleted", "a deletion is told with the object as it was last, at the version of the deletion", []need{several}, watchDeleted},
	}
}

// follow watches until the check ends.
func (s *subject) follow(options metav1.ListOptions) watch.Interface {
	s.Helper()
	watcher, err := s.in.Watch(s.Context(), options)
	s.must(err)
	s.Cleanup(watcher.Stop)
	return watcher
}

// next is the next event that is no bookmark, or is one if that is wanted.
func (s *subject) next(watcher watch.Interface, kind watch.EventType, short string) *unstructured.Unstructured {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), framework.Timeout)
	defer cancel()
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				s.Fatalf("the watch has ended, want %s of %s", kind, short)
			}
			if event.Type == watch.Bookmark && kind != watch.Bookmark {
				continue
			}
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok || event.Type != kind || kind != watch.Bookmark && object.GetName() != s.name(short) {
				s.Fatalf("got %s of %v, want %s of %s", event.Type, event.Object, kind, s.name(short))
			}
			return object
		case <-ctx.Done():
			s.Fatalf("no event, want %s of %s", kind, short)
		}
	}
}

func (s *subject) labelled(short string, labels fields) *unstructured.Unstructured {
	s.Helper()
	got, err := s.in.Patch(s.Context(), s.name(short), types.MergePatchType, body(fields{"metadata": fields{"labels": labels}}), metav1.PatchOptions{})
	s.must(err)
	return got
}

func watchFromVersion(s *subject) {
	s.create("before")
	from := s.list(metav1.ListOptions{LabelSelector: s.mine()}).GetResourceVersion()
	s.create("a")
	s.labelled("before", fields{"a": "b"})
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{}))
	watcher := s.follow(metav1.ListOptions{LabelSelector: s.mine(), ResourceVersion: from})
	s.next(watcher, watch.Added, "a")
	if got := s.next(watcher, watch.Modified, "before"); got.GetLabels()["a"] != "b" {
		s.Errorf("got labels %v, want the new one", got.GetLabels())
	}
	s.next(watcher, watch.Deleted, "a")
	s.create("after")
	s.next(watcher, watch.Added, "after")
}

func watchOne(s *subject) {
	s.create("a")
	watcher := s.follow(metav1.ListOptions{FieldSelector: "metadata.name=" + s.name("b")})
	s.create("b")
	s.next(watcher, watch.Added, "b")
	s.labelled("a", fields{"a": "b"})
	s.labelled("b", fields{"a": "b"})
	s.next(watcher, watch.Modified, "b")
}

func watchOnly(s *subject) {
	from := s.create("a").GetResourceVersion()
	watcher := s.follow(metav1.ListOptions{FieldSelector: "metadata.name=" + s.name("a"), ResourceVersion: from})
	want := s.labelled("a", fields{"a": s.id})
	if got := s.next(watcher, watch.Modified, "a"); got.GetResourceVersion() != want.GetResourceVersion() {
		s.Errorf("got version %s, want %s", got.GetResourceVersion(), want.GetResourceVersion())
	}
}

func watchLabels(s *subject) {
	s.create("a")
	from := s.list(metav1.ListOptions{}).GetResourceVersion()
	watcher := s.follow(metav1.ListOptions{LabelSelector: s.mine() + ",tier=gold", ResourceVersion: from})
	s.labelled("a", fields{"tier": "gold"})
	s.next(watcher, watch.Added, "a")
	s.labelled("a", fields{"other": "label"})
	s.next(watcher, watch.Modified, "a")
	s.labelled("a", fields{"tier": "silver"})
	s.next(watcher, watch.Deleted, "a")
	s.labelled("a", fields{"other": nil})
	s.labelled("a", fields{"tier": "gold"})
	s.next(watcher, watch.Added, "a")
}

func watchFields(s *subject) {
	s.create("a")
	from := s.list(metav1.ListOptions{}).GetResourceVersion()
	watcher := s.follow(metav1.ListOptions{FieldSelector: "status.phase=Deploying", ResourceVersion: from})
	phase := func(value string) {
		s.Helper()
		_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(at(value, "status", "phase")), metav1.PatchOptions{}, "status")
		s.must(err)
	}
	phase("Deploying")
	s.next(watcher, watch.Added, "a")
	phase("Ready")
	s.next(watcher, watch.Deleted, "a")
}

func watchBookmarks(s *subject) {
	made := s.create("a")
	var got *unstructured.Unstructured
	attempt := 0
	framework.Eventually(s, "a watch is marked near its end", func(context.Context) (bool, error) {
		// It comes two seconds before the end, unless the server is late.
		watcher := s.follow(metav1.ListOptions{AllowWatchBookmarks: true, TimeoutSeconds: ptr.To(int64(3)), ResourceVersion: made.GetResourceVersion(),
			LabelSelector: "matches=nothing"})
		attempt++
		s.labelled("a", fields{"b": fmt.Sprint(attempt)}) // there is something to mark
		for event := range watcher.ResultChan() {
			if event.Type != watch.Bookmark {
				return false, fmt.Errorf("got %s, want a bookmark", event.Type)
			}
			got = event.Object.(*unstructured.Unstructured)
		}
		return got != nil, nil
	})
	if got.GetResourceVersion() == "" || got.GetKind() != s.kind.kind || got.GetName() != "" {
		s.Errorf("got %v, want an empty %s with a resourceVersion", got.Object, s.kind.kind)
	}
	// From where it marks, a watch can go on.
	again := s.follow(metav1.ListOptions{ResourceVersion: got.GetResourceVersion(), FieldSelector: "metadata.name=" + s.name("a")})
	s.labelled("a", fields{"a": s.id})
	s.next(again, watch.Modified, "a")
}

func watchList(s *subject) {
	s.create("first")
	watcher := s.follow(metav1.ListOptions{
		LabelSelector: s.mine(), SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	s.next(watcher, watch.Added, "first")
	if got := s.next(watcher, watch.Bookmark, ""); got.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
		s.Errorf("the bookmark does not end the list: %v", got.GetAnnotations())
	}
	s.create("second")
	s.next(watcher, watch.Added, "second")
	s.must(s.in.Delete(s.Context(), s.name("first"), metav1.DeleteOptions{}))
	s.next(watcher, watch.Deleted, "first")
}

func watchListMetadata(s *subject) {
	made := s.create("a")
	watcher, err := shared.metadata.Resource(v1.SchemeGroupVersion.WithResource(s.resource)).Namespace(s.namespace).Watch(s.Context(), metav1.ListOptions{
		LabelSelector: s.mine(), SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	s.must(err)
	s.Cleanup(watcher.Stop)
	for _, want := range []watch.EventType{watch.Added, watch.Bookmark} {
		event := <-watcher.ResultChan()
		got, ok := event.Object.(*metav1.PartialObjectMetadata)
		if !ok || event.Type != want {
			s.Fatalf("got %s of %v, want %s of metadata", event.Type, event.Object, want)
		}
		if want == watch.Added && got.UID != made.GetUID() {
			s.Errorf("got %s, want %s", got.UID, made.GetUID())
		}
		if want == watch.Bookmark && got.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
			s.Errorf("the bookmark does not end the list: %v", got.Annotations)
		}
	}
}

func watchEnds(s *subject) {
	got := s.expect(http.StatusOK, s.send("GET", s.collection()+"?watch=true&timeoutSeconds=1&labelSelector=matches%3Dnothing", nil))
	if len(got.body) != 0 {
		s.Errorf("got %q, want an end without an event", got.body)
	}
}

// watchTooOld asks for the first version that any store has, which was before the server began to watch.
func watchTooOld(s *subject) {
	s.create("a")
	watcher, err := s.in.Watch(s.Context(), metav1.ListOptions{ResourceVersion: "1"})
	if err == nil {
		s.Cleanup(watcher.Stop)
		event := <-watcher.ResultChan()
		err = apierrors.FromObject(event.Object)
		if event.Type != watch.Error {
			err = errors.New("no error but " + string(event.Type))
		}
	}
	s.fails("watch", err, apierrors.IsResourceExpired, "too old resource version")
}

func watchDeleted(s *subject) {
	made := s.create("a")
	watcher := s.follow(metav1.ListOptions{LabelSelector: s.mine(), ResourceVersion: made.GetResourceVersion()})
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{}))
	got := s.next(watcher, watch.Deleted, "a")
	if got.GetUID() != made.GetUID() || got.GetResourceVersion() == made.GetResourceVersion() {
		s.Errorf("got %s at %s, want %s at a later version than %s", got.GetUID(), got.GetResourceVersion(), made.GetUID(), made.GetResourceVersion())
	}
}

// watchAs reads the first event of a watch in another representation.
func (s *subject) watchAs(accept string) (kind string, object map[string]any) {
	s.Helper()
	query := "?watch=true&timeoutSeconds=5&labelSelector=" + url.QueryEscape(s.mine())
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, shared.host.Config.Host+s.collection()+query, nil)
	s.must(err)
	request.Header.Set("Accept", accept)
	response, err := shared.http.Do(request)
	s.must(err)
	defer response.Body.Close()
	var event struct {
		Type   string
		Object map[string]any
	}
	s.must(json.NewDecoder(response.Body).Decode(&event))
	return event.Type, event.Object
}

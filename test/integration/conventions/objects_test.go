// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func objectChecks() []check {
	return []check{
		{"life", "an object can be created, read, listed, replaced, patched and deleted", []need{several}, life},
		{"create", "the server sets uid, creationTimestamp, resourceVersion and generation 1, whatever the client says", []need{several}, created},
		{"already-exists", "creating a name that is taken is 409 AlreadyExists", nil, taken},
		{"create-with-version", "creating with a resourceVersion is refused, as it is for the host's own kinds", []need{several}, createdWithVersion},
		{"defaults", "a field that is left out is filled in, visibly", []need{someDefaults}, defaults},
		{"generate-name", "generateName makes a name that is short enough, with what was asked for in front", []need{several}, generatedName},
		{"names", "a name is a DNS name of at most so many characters; another is 422 about metadata.name", []need{several}, names},
		{"name-in-path", "an object whose name is not that of the path is 400", nil, otherName},
		{"namespace-in-path", "an object whose namespace is not that of the path is 400", []need{aNamespace}, otherNamespace},
		{"not-found", "what is not there is 404 that names resource and name", []need{several}, notFound},
		{"dry-run", "every verb can be tried without keeping anything", []need{several}, dryRun},
		{"dry-run-invalid", "a dry run is refused for what the real one would be", nil, dryRunInvalid},
		{"concurrent-create", "of many creates of one name exactly one wins", []need{several}, concurrentCreate},
		{"concurrent-update", "of many updates none is lost", nil, concurrentUpdate},
	}
}

func life(s *subject) {
	s.create("a")
	object := s.get("a")
	s.vary(object, 1)
	updated, err := s.in.Update(s.Context(), object, metav1.UpdateOptions{})
	s.must(err)
	s.holds(updated, 1)
	patched, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(at(s.variant(2), s.path...)), metav1.PatchOptions{})
	s.must(err)
	s.holds(patched, 2)
	list, err := s.in.List(s.Context(), metav1.ListOptions{LabelSelector: s.mine()})
	s.must(err)
	if len(list.Items) != 1 || list.Items[0].GetName() != s.name("a") || list.GetKind() != s.kind.kind+"List" || list.GetResourceVersion() == "" {
		s.Errorf("list: got %v, want the one object in a %sList with a resourceVersion", list.Object, s.kind.kind)
	}
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{}))
	s.missing("a")
}

func created(s *subject) {
	got := s.create("a", func(o *unstructured.Unstructured) {
		o.SetUID("00000000-0000-4000-8000-000000000000")
		o.SetGeneration(7)
		o.SetSelfLink("/somewhere")
		o.SetDeletionTimestamp(ptr.To(metav1.Now()))
	})
	if got.GetUID() == "" || got.GetUID() == "00000000-0000-4000-8000-000000000000" || got.GetGeneration() != 1 ||
		got.GetResourceVersion() == "" || got.GetSelfLink() != "" || got.GetDeletionTimestamp() != nil {
		s.Errorf("got %+v, want what the server sets", got.Object["metadata"])
	}
	if stamp := got.GetCreationTimestamp(); stamp.IsZero() {
		s.Error("no creationTimestamp")
	}
	fields := got.GetManagedFields()
	if len(fields) != 1 || fields[0].Manager != "creator" || fields[0].Operation != metav1.ManagedFieldsOperationUpdate || fields[0].Subresource != "" {
		s.Errorf("managedFields: got %+v, want one entry, of the creator", fields)
	}
}

func taken(s *subject) {
	s.create("a")
	_, err := s.in.Create(s.Context(), s.object("a"), metav1.CreateOptions{})
	s.fails("a second one", err, apierrors.IsAlreadyExists, s.resource+".tenancy.garret.dev", s.name("a"))
}

func createdWithVersion(s *subject) {
	object := s.object("a")
	object.SetResourceVersion("1")
	own := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: s.id, ResourceVersion: "1"}}
	_, want := shared.host.Client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(s.Context(), own, metav1.CreateOptions{})
	_, err := s.in.Create(s.Context(), object, metav1.CreateOptions{})
	if err == nil || want == nil || err.Error() != want.Error() || apierrors.ReasonForError(err) != apierrors.ReasonForError(want) {
		s.Errorf("got %v, want %v", err, want)
	}
	s.missing("a")
}

func defaults(s *subject) {
	made := s.create("a")
	for path, want := range s.defaulted {
		got, _, _ := unstructured.NestedFieldNoCopy(made.Object, strings.Split(path, ".")...)
		if got != want {
			s.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func generatedName(s *subject) {
	// The longest that is a DNS label. The library makes no names that are longer.
	for _, prefix := range []string{s.id + "-", s.id + strings.Repeat("x", 63-len(s.id))} {
		object := s.object("")
		object.SetName("")
		object.SetGenerateName(prefix)
		made, err := s.in.Create(s.Context(), object, metav1.CreateOptions{})
		if err != nil {
			s.Errorf("generateName of %d characters: %v", len(prefix), err)
			continue
		}
		s.Cleanup(func() { s.clear(made.GetName()) })
		name, kept := made.GetName(), min(len(prefix), min(s.longest, 63)-5)
		if len(name) != kept+5 || !strings.HasPrefix(name, prefix[:kept]) {
			s.Errorf("got %q, want %q and five characters more", name, prefix[:kept])
		}
	}
	object := s.object("")
	object.SetName("")
	_, err := s.in.Create(s.Context(), object, metav1.CreateOptions{})
	s.fails("neither name nor generateName", err, apierrors.IsInvalid, "name")
}

func names(s *subject) {
	longest := s.object("")
	longest.SetName((s.id + strings.Repeat("x", s.longest))[:s.longest])
	if _, err := s.in.Create(s.Context(), longest, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		s.Errorf("a name of %d characters: %v", s.longest, err)
	}
	for _, name := range []string{
		strings.Repeat("x", s.longest+1), "Upper", "under_score", "-first", "last-", "dot..dot", "space in", "colon:", "%2e", "ä",
	} {
		object := s.object("")
		object.SetName(name)
		_, err := s.in.Create(s.Context(), object, metav1.CreateOptions{})
		s.fails("the name "+name, err, apierrors.IsInvalid, "metadata.name")
		s.caused(err, "metadata.name")
	}
}

func otherName(s *subject) {
	object := s.create("a")
	object.SetName("other")
	s.refused("update", http.StatusBadRequest, s.send("PUT", s.url("a"), body(object)), "name")
}

func otherNamespace(s *subject) {
	object := s.object("a")
	object.SetNamespace("other")
	s.refused("create", http.StatusBadRequest, s.send("POST", s.collection(), body(object)), "namespace")
}

func notFound(s *subject) {
	path := s.url("missing")
	object := s.object("missing")
	object.SetResourceVersion("1")
	for method, content := range map[string][]byte{"GET": nil, "DELETE": nil, "PUT": body(object)} {
		status := s.refused(method, http.StatusNotFound, s.send(method, path, content), s.resource, s.name("missing"))
		if d := status.Details; d == nil || d.Name != s.name("missing") || d.Kind != s.resource || d.Group != "tenancy.garret.dev" {
			s.Errorf("%s: got details %+v, want them to name the object", method, d)
		}
	}
	s.refused("PATCH", http.StatusNotFound, s.send("PATCH", path, []byte(`{}`), "Content-Type", string(types.MergePatchType)), s.resource)
}

func dryRun(s *subject) {
	all := []string{metav1.DryRunAll}
	dry, err := s.in.Create(s.Context(), s.object("dry"), metav1.CreateOptions{DryRun: all})
	s.must(err)
	if dry.GetUID() == "" || dry.GetName() != s.name("dry") {
		s.Errorf("create: got %v, want the object as it would be", dry.Object)
	}
	s.missing("dry")

	before := s.create("a")
	same := func(verb string) {
		s.Helper()
		if got := s.get("a"); got.GetResourceVersion() != before.GetResourceVersion() || got.GetDeletionTimestamp() != nil {
			s.Errorf("%s: the object has changed: %v", verb, got.Object)
		}
	}
	changed := s.get("a")
	s.vary(changed, 1)
	got, err := s.in.Update(s.Context(), changed, metav1.UpdateOptions{DryRun: all})
	s.must(err)
	s.holds(got, 1)
	same("update")
	got, err = s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(at(s.variant(2), s.path...)), metav1.PatchOptions{DryRun: all})
	s.must(err)
	s.holds(got, 2)
	same("patch")
	_, err = s.in.Apply(s.Context(), s.name("a"), s.varied("a", 3), metav1.ApplyOptions{DryRun: all, FieldManager: "dry", Force: true})
	s.must(err)
	same("apply")
	_, err = s.in.Apply(s.Context(), s.name("dry"), s.object("dry"), metav1.ApplyOptions{DryRun: all, FieldManager: "dry"})
	s.must(err)
	s.missing("dry")
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{DryRun: all}))
	same("delete")
	s.must(s.in.DeleteCollection(s.Context(), metav1.DeleteOptions{DryRun: all}, metav1.ListOptions{LabelSelector: s.mine()}))
	same("deletecollection")
	s.refused("another dry run", http.StatusUnprocessableEntity, s.send("DELETE", s.url("a")+"?dryRun=Some", nil), "dryRun")
}

func dryRunInvalid(s *subject) {
	s.create("a")
	for field, spec := range s.invalid {
		_, err := s.in.Patch(s.Context(), s.name("a"), types.MergePatchType, body(fields{"spec": spec}),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		s.fails(field, err, apierrors.IsInvalid, field)
	}
}

func concurrentCreate(s *subject) {
	const writers = 10
	var wins, losses int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			_, err := s.in.Create(s.Context(), s.object("a"), metav1.CreateOptions{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				wins++
			case apierrors.IsAlreadyExists(err):
				losses++
			default:
				s.Errorf("got %v, want AlreadyExists", err)
			}
		})
	}
	group.Wait()
	s.clear(s.name("a"))
	if wins != 1 || losses != writers-1 {
		s.Errorf("got %d winners and %d losers, want 1 and %d", wins, losses, writers-1)
	}
}

func concurrentUpdate(s *subject) {
	const writers, each = 5, 4
	s.create("a")
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for done := 0; done < each; {
				object, err := s.in.Get(s.Context(), s.name("a"), metav1.GetOptions{})
				if err != nil {
					s.Error(err)
					return
				}
				key := "w" + string(rune('a'+writer)) + string(rune('0'+done))
				labels := object.GetLabels()
				labels[key] = "done"
				object.SetLabels(labels)
				switch _, err := s.in.Update(s.Context(), object, metav1.UpdateOptions{}); {
				case err == nil:
					done++
				case !apierrors.IsConflict(err):
					s.Errorf("got %v, want a conflict or nothing", err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := len(s.get("a").GetLabels()) - 1; got != writers*each {
		s.Errorf("got %d labels, want the %d that were written", got, writers*each)
	}
}

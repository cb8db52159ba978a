// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

func deletionChecks() []check {
	return []check{
		{"delete-answer", "what is deleted at once is answered with a Status that names it", []need{several}, deleteAnswer},
		{"delete-preconditions", "a deletion that names another uid or resourceVersion is 409", []need{several}, deletePreconditions},
		{"delete-options", "options that contradict each other, or that there are not, are refused", []need{several}, deleteOptions},
		{"finalizers", "a finalizer holds the object, terminating, until it is taken away; none can be added meanwhile", []need{several}, finalizers},
		{"deletecollection", "deletecollection deletes what the selectors choose and nothing else", []need{several}, deleteCollection},
		{"gc-background", "in the background the owner goes at once, what it owns after it", []need{several}, background},
		{"gc-foreground", "in the foreground the owner stays until what it owns, and blocks it, has gone", []need{several}, foreground},
		{"gc-orphan", "orphaned, what it owned stays and names no owner any more", []need{several}, orphan},
		{"gc-owned", "an object of the kind goes with its owner", []need{several}, owned},
		{"namespace", "a namespace takes its objects along, waits for their finalizers, and takes no new ones meanwhile", []need{aNamespace}, namespaceGoes},
		{"namespace-missing", "creating in a namespace that is not there is 404 about the namespace", []need{aNamespace}, noNamespace},
	}
}

// withFinalizer holds an object.
func withFinalizer(o *unstructured.Unstructured) { o.SetFinalizers([]string{"example.com/hold"}) }

func (s *subject) release(short string) {
	s.Helper()
	_, err := s.in.Patch(s.Context(), s.name(short), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	s.must(err)
}

func deleteAnswer(s *subject) {
	made := s.create("a")
	var status metav1.Status
	s.decode(s.expect(http.StatusOK, s.send("DELETE", s.url("a"), nil)), &status)
	if status.Kind != "Status" || status.Status != metav1.StatusSuccess || status.Details == nil || status.Details.UID != made.GetUID() ||
		status.Details.Name != made.GetName() {
		s.Errorf("got %+v, want success and what was deleted", status)
	}
}

func deletePreconditions(s *subject) {
	made := s.create("a")
	for what, preconditions := range map[string]*metav1.Preconditions{
		"UID":             {UID: ptr.To(types.UID("00000000-0000-4000-8000-000000000000"))},
		"ResourceVersion": {ResourceVersion: ptr.To("1")},
	} {
		s.fails(what, s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{Preconditions: preconditions}), apierrors.IsConflict, what)
	}
	s.get("a")
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: ptr.To(made.GetUID()), ResourceVersion: ptr.To(made.GetResourceVersion())}}))
	s.missing("a")
}

func deleteOptions(s *subject) {
	s.create("a")
	for what, options := range map[string]fields{
		"both":    {"propagationPolicy": "Orphan", "orphanDependents": true},
		"unknown": {"propagationPolicy": "Sideways"},
	} {
		options["apiVersion"], options["kind"] = "v1", "DeleteOptions"
		s.refused(what, http.StatusUnprocessableEntity, s.send("DELETE", s.url("a"), body(options)), "propagationPolicy")
	}
	s.get("a")
}

func finalizers(s *subject) {
	s.create("a", withFinalizer)
	got := s.decoded(s.expect(http.StatusOK, s.send("DELETE", s.url("a"), nil)))
	if got.GetKind() != s.kind.kind || got.GetDeletionTimestamp() == nil {
		s.Errorf("got %v, want the object with a deletionTimestamp", got.Object)
	}
	at := got.GetDeletionTimestamp()
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{}))
	if again := s.get("a"); !again.GetDeletionTimestamp().Equal(at) {
		s.Errorf("a second deletion: got %v, want %v", again.GetDeletionTimestamp(), at)
	}
	_, err := s.patch(types.MergePatchType, fields{"metadata": fields{"finalizers": []any{"example.com/hold", "example.com/another"}}})
	s.fails("another finalizer", err, func(err error) bool { return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) }, "metadata.finalizers")
	_, err = s.patch(types.MergePatchType, fields{"metadata": fields{"labels": fields{"a": "b"}}})
	s.must(err)
	_, err = s.patch(types.MergePatchType, fields{"metadata": fields{"deletionTimestamp": nil}})
	s.must(err)
	if s.get("a").GetDeletionTimestamp() == nil {
		s.Error("a deletion was taken back")
	}
	s.release("a")
	s.missing("a")
}

func deleteCollection(s *subject) {
	for _, short := range []string{"a", "b", "c", "d"} {
		s.create(short)
	}
	s.labelled("b", fields{"tier": "gold"})
	s.labelled("c", fields{"tier": "gold"})
	s.must(s.in.DeleteCollection(s.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: s.mine() + ",tier=gold"}))
	s.listed(metav1.ListOptions{LabelSelector: s.mine()}, "a", "d")
	s.must(s.in.DeleteCollection(s.Context(), metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "metadata.name=" + s.name("d")}))
	s.listed(metav1.ListOptions{LabelSelector: s.mine()}, "a")
}

// owns makes a ConfigMap that an object owns.
func (s *subject) ownedConfigMap(owner *unstructured.Unstructured, hold bool) *corev1.ConfigMap {
	s.Helper()
	namespace := s.namespace
	if namespace == "" {
		namespace = shared.host.NewNamespace(s, "conv-")
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", Namespace: namespace, OwnerReferences: []metav1.OwnerReference{{
		APIVersion: v1.SchemeGroupVersion.String(), Kind: s.kind.kind, Name: owner.GetName(), UID: owner.GetUID(), BlockOwnerDeletion: ptr.To(true)}}}}
	if hold {
		object.Finalizers = []string{"example.com/hold"}
	}
	configMaps := shared.host.Client.CoreV1().ConfigMaps(namespace)
	made, err := configMaps.Create(s.Context(), object, metav1.CreateOptions{})
	s.must(err)
	// The garbage collector follows each kind by a watch of its own. Once it has taken
	// away what came later, whose owner never was, it knows of this one too.
	later := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "later-", Namespace: namespace, OwnerReferences: []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "ConfigMap", Name: "never", UID: "00000000-0000-0000-0000-000000000000"}}}}
	later, err = configMaps.Create(s.Context(), later, metav1.CreateOptions{})
	s.must(err)
	s.configMapGone(later)
	return made
}

// configMapGone waits until the garbage collector has been there.
func (s *subject) configMapGone(object *corev1.ConfigMap) {
	s.Helper()
	framework.Eventually(s, "what was owned is gone", func(ctx context.Context) (bool, error) {
		_, err := shared.host.Client.CoreV1().ConfigMaps(object.Namespace).Get(ctx, object.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func background(s *subject) {
	child := s.ownedConfigMap(s.create("a"), false)
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}))
	s.missing("a")
	s.configMapGone(child)
}

func foreground(s *subject) {
	child := s.ownedConfigMap(s.create("a"), true)
	configMaps := shared.host.Client.CoreV1().ConfigMaps(child.Namespace)
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}))
	if got := s.get("a"); got.GetDeletionTimestamp() == nil || !slices.Contains(got.GetFinalizers(), metav1.FinalizerDeleteDependents) {
		s.Errorf("got %v, want it terminating with the finalizer %s", got.Object["metadata"], metav1.FinalizerDeleteDependents)
	}
	framework.Eventually(s, "what is owned is being deleted", func(ctx context.Context) (bool, error) {
		got, err := configMaps.Get(ctx, child.Name, metav1.GetOptions{})
		return err == nil && got.DeletionTimestamp != nil, err
	})
	s.get("a") // still there
	_, err := configMaps.Patch(s.Context(), child.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	s.must(err)
	s.gone("a")
}

func orphan(s *subject) {
	child := s.ownedConfigMap(s.create("a"), false)
	s.must(s.in.Delete(s.Context(), s.name("a"), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationOrphan)}))
	s.gone("a")
	got, err := shared.host.Client.CoreV1().ConfigMaps(child.Namespace).Get(s.Context(), child.Name, metav1.GetOptions{})
	s.must(err)
	if len(got.OwnerReferences) != 0 || got.DeletionTimestamp != nil {
		s.Errorf("got %+v, want it without an owner", got.ObjectMeta)
	}
}

func owned(s *subject) {
	owner := s.create("owner")
	s.create("a", func(o *unstructured.Unstructured) {
		o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: v1.SchemeGroupVersion.String(), Kind: s.kind.kind, Name: owner.GetName(), UID: owner.GetUID()}})
	})
	s.must(s.in.Delete(s.Context(), s.name("owner"), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}))
	s.gone("a")
}

func namespaceGoes(s *subject) {
	s.create("held", withFinalizer)
	s.create("free")
	namespaces := shared.host.Client.CoreV1().Namespaces()
	s.must(namespaces.Delete(s.Context(), s.namespace, metav1.DeleteOptions{}))
	s.gone("free")
	framework.Eventually(s, "held is terminating", func(ctx context.Context) (bool, error) {
		got, err := s.in.Get(ctx, s.name("held"), metav1.GetOptions{})
		return err == nil && got.GetDeletionTimestamp() != nil, err
	})
	_, err := s.in.Create(s.Context(), s.object("late"), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		s.Errorf("create in a namespace that goes away: got %v, want Forbidden because of that", err)
	}
	s.release("held")
	framework.Eventually(s, "the namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := namespaces.Get(ctx, s.namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func noNamespace(s *subject) {
	path := root + "/namespaces/nowhere/" + s.resource
	object := s.object("a")
	object.SetNamespace("nowhere")
	s.refused("create", http.StatusNotFound, s.send("POST", path, body(object)), `namespaces "nowhere" not found`)
	got := s.decoded(s.expect(http.StatusOK, s.send("GET", path, nil)))
	if list, err := got.ToList(); err != nil || len(list.Items) != 0 {
		s.Errorf("list: got %v, want an empty list", got.Object)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// maxEvents is how many Events an explanation shows at most.
const maxEvents = 50

// Source looks at objects; it is the engine.
type Source interface {
	Kinds() []engine.LookedAt
	Look(ctx context.Context, resource string, key types.NamespacedName) (*engine.Look, error)
}

// Options are what a handler is made of.
type Options struct {
	Source Source
	// Virtual reviews what callers may do, and lists Events.
	Virtual kubernetes.Interface
}

// New returns the handler of the API. Its callers are the API server's, which says in
// headers for whom it calls: nobody else may reach it.
func New(o Options) http.Handler {
	a := &api{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+v1alpha1.Path, a.discover)
	mux.HandleFunc("GET "+v1alpha1.Path+"/{resource}/{name}", a.get)
	mux.HandleFunc("GET "+v1alpha1.Path+"/namespaces/{namespace}/{resource}/{name}", a.get)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, apierrors.NewGenericServerResponse(http.StatusNotFound, strings.ToLower(r.Method), schema.GroupResource{Group: v1alpha1.GroupName}, "", "the path is not served", 0, true))
	})
	return mux
}

type api struct{ Options }

func (a *api) discover(w http.ResponseWriter, _ *http.Request) {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: v1alpha1.GroupName + "/" + v1alpha1.Version, APIResources: []metav1.APIResource{}}
	for _, kind := range a.Source.Kinds() {
		list.APIResources = append(list.APIResources, metav1.APIResource{Name: kind.Name, Kind: v1alpha1.Kind, Namespaced: kind.Namespaced, Verbs: metav1.Verbs{"get"}})
	}
	write(w, http.StatusOK, list)
}

// get explains one object to somebody who may get it.
func (a *api) get(w http.ResponseWriter, r *http.Request) {
	explanation, err := a.explain(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	write(w, http.StatusOK, explanation)
}

func (a *api) explain(r *http.Request) (*v1alpha1.Explanation, error) {
	resource, key := r.PathValue("resource"), types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	kinds := a.Source.Kinds()
	at := slices.IndexFunc(kinds, func(kind engine.LookedAt) bool { return kind.Name == resource })
	if at < 0 || kinds[at].Namespaced != (key.Namespace != "") {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupName, Resource: resource}, key.Name)
	}
	// Before anything is looked at: nobody else learns whether an object exists.
	if err := a.mayGet(r, kinds[at].Resource, key); err != nil {
		return nil, err
	}
	look, err := a.Source.Look(r.Context(), resource, key)
	if err != nil {
		return nil, err
	}
	explanation, err := Of(look)
	if err != nil {
		return nil, err
	}
	// Events about what is in no namespace lie in this one.
	namespace := cmp.Or(key.Namespace, metav1.NamespaceDefault)
	allowed, err := a.may(r, authorizationv1.ResourceAttributes{Verb: "list", Resource: "events", Namespace: namespace})
	if err != nil {
		return nil, err
	}
	if !allowed {
		explanation.Withheld = "Events: you may not list them in namespace " + namespace
		return explanation, nil
	}
	explanation.Events, err = a.events(r.Context(), namespace, look.Virtual.GetUID())
	return explanation, err
}

func (a *api) mayGet(r *http.Request, kind schema.GroupResource, key types.NamespacedName) error {
	allowed, err := a.may(r, authorizationv1.ResourceAttributes{
		Verb: "get", Group: kind.Group, Resource: kind.Resource, Namespace: key.Namespace, Name: key.Name,
	})
	if err == nil && !allowed {
		err = apierrors.NewForbidden(kind, key.Name, errors.New("only those who may get the object may have it explained"))
	}
	return err
}

// may asks the API server inside whether the caller has a right there.
func (a *api) may(r *http.Request, right authorizationv1.ResourceAttributes) (bool, error) {
	user := r.Header.Get("X-Remote-User")
	if user == "" {
		return false, apierrors.NewUnauthorized("the API server did not name the user of the request")
	}
	extra := map[string]authorizationv1.ExtraValue{}
	for header, values := range r.Header {
		if key, is := strings.CutPrefix(header, "X-Remote-Extra-"); is {
			if plain, err := url.PathUnescape(key); err == nil {
				key = plain
			}
			extra[strings.ToLower(key)] = values
		}
	}
	review, err := a.Virtual.AuthorizationV1().SubjectAccessReviews().Create(r.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, UID: r.Header.Get("X-Remote-Uid"), Groups: r.Header.Values("X-Remote-Group"), Extra: extra, ResourceAttributes: &right,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}

// events are those about the object inside, the latest last.
func (a *api) events(ctx context.Context, namespace string, uid types.UID) ([]v1alpha1.Event, error) {
	list, err := a.Virtual.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(uid)).String(),
	})
	if err != nil {
		return nil, err
	}
	events := make([]v1alpha1.Event, 0, len(list.Items))
	for i := range list.Items {
		event := &list.Items[i]
		side := v1alpha1.SideInside
		if event.Labels[tenancyv1.LabelCluster] != "" {
			side = v1alpha1.SideHost
		}
		events = append(events, v1alpha1.Event{Side: side, Type: event.Type, Reason: event.Reason, Message: event.Message, Count: event.Count, Last: last(event)})
	}
	slices.SortStableFunc(events, func(a, b v1alpha1.Event) int { return a.Last.Compare(b.Last.Time) })
	return events[max(0, len(events)-maxEvents):], nil
}

// last is when an Event came the last time: there are three ways to say so.
func last(event *corev1.Event) metav1.Time {
	switch {
	case event.Series != nil:
		return metav1.NewTime(event.Series.LastObservedTime.Time)
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp
	case !event.EventTime.IsZero():
		return metav1.NewTime(event.EventTime.Time)
	}
	return event.CreationTimestamp
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		klog.FromContext(r.Context()).Error(err, "Cannot explain", "path", r.URL.Path)
		status = apierrors.NewInternalError(errors.New("the syncer cannot explain the object now"))
	}
	answer := status.Status()
	answer.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	write(w, int(answer.Code), answer)
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// Nobody can tell a caller that has gone away.
	_ = json.NewEncoder(w).Encode(body)
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/syncer/engine"
)

// looks has one pod, and notes what it was asked for.
type looks struct {
	t     *testing.T
	asked []string
}

func (l *looks) Kinds() []engine.LookedAt {
	return []engine.LookedAt{
		{Name: "nodes", Resource: schema.GroupResource{Resource: "nodes"}},
		{Name: "pods", Resource: schema.GroupResource{Resource: "pods"}, Namespaced: true},
		{Name: "secrets", Resource: schema.GroupResource{Resource: "secrets"}, Namespaced: true},
	}
}

func (l *looks) Look(_ context.Context, resource string, key types.NamespacedName) (*engine.Look, error) {
	l.asked = append(l.asked, resource+" "+key.String())
	if key.String() != "shop/web" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: resource}, key.Name)
	}
	return pods(l.t, `{"metadata":{"namespace":"shop","name":"web","uid":"u1"}}`, `{}`, `{}`), nil
}

// inside is an API server that allows what is in rights, as "user verb resource namespace/name",
// and notes who was asked about.
type inside struct {
	rights []string
	about  []authorizationv1.SubjectAccessReviewSpec
}

func (s *inside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/events") {
		if r.URL.Path != "/api/v1/namespaces/shop/events" || r.URL.Query().Get("fieldSelector") != "involvedObject.uid=u1" {
			http.Error(w, r.URL.String(), http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"kind":"EventList","apiVersion":"v1","items":[
			{"reason":"Later","lastTimestamp":"2026-01-01T00:00:09Z"},
			{"reason":"Scheduled","metadata":{"labels":{"garret.dev/cluster":"one"}},"lastTimestamp":"2026-01-01T00:00:01Z"}]}`)
		return
	}
	review := authorizationv1.SubjectAccessReview{}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.about = append(s.about, review.Spec)
	right := review.Spec.ResourceAttributes
	review.Status.Allowed = slices.Contains(s.rights, fmt.Sprintf("%s %s %s %s/%s", review.Spec.User, right.Verb, right.Resource, right.Namespace, right.Name))
	_ = json.NewEncoder(w).Encode(review)
}

// TestOnlyWhoMayGetIsTold wants an explanation for who may get the object, and for nobody else; nor may
// anybody learn whether there is one.
func TestOnlyWhoMayGetIsTold(t *testing.T) {
	const web = v1alpha1.Path + "/namespaces/shop/pods/web"
	get, list := "jane get pods shop/web", "jane list events shop/"
	for _, test := range []struct {
		name     string
		rights   []string
		user     string
		path     string
		code     int
		want     []string
		unwanted []string
		// looked says that the engine was asked.
		looked bool
	}{
		{"who may get it", []string{get, list}, "jane", web, 200, []string{`"kind":"Explanation"`, `"web-shop-0"`, `"side":"host","type":"","reason":"Scheduled"`, `"reason":"Later"`}, []string{"withheld"}, true},
		{"who may get it, and list no Events", []string{get}, "jane", web, 200, []string{`"web-shop-0"`, `"withheld":"Events: you may not`}, []string{"Scheduled"}, true},
		{"who may list Events alone", []string{list}, "jane", web, 403, []string{`"reason":"Forbidden"`}, []string{"web-shop-0", "Scheduled"}, false},
		{"who has no right", nil, "jane", web, 403, []string{`"reason":"Forbidden"`}, []string{"web-shop-0"}, false},
		{"who has another's right", []string{get, list}, "joe", web, 403, []string{`"reason":"Forbidden"`}, []string{"web-shop-0"}, false},
		{"who has the right in another namespace", []string{"jane get pods bank/web"}, "jane", web, 403, nil, []string{"web-shop-0"}, false},
		{"who may get pods, asking for a secret of the name", []string{get, list}, "jane", v1alpha1.Path + "/namespaces/shop/secrets/web", 403, nil, []string{"web-shop-0"}, false},
		{"an object that does not exist, without the right", nil, "jane", v1alpha1.Path + "/namespaces/shop/pods/none", 403, nil, []string{"NotFound"}, false},
		{"an object that does not exist, with the right", []string{"jane get pods shop/none"}, "jane", v1alpha1.Path + "/namespaces/shop/pods/none", 404, []string{`"reason":"NotFound"`}, nil, true},
		{"nobody", []string{" get pods shop/web", get}, "", web, 401, []string{`"reason":"Unauthorized"`}, []string{"web-shop-0"}, false},
		{"a pod in no namespace", []string{"jane get pods /web"}, "jane", v1alpha1.Path + "/pods/web", 404, nil, []string{"web-shop-0"}, false},
		{"a node in a namespace", []string{"jane get nodes shop/web"}, "jane", v1alpha1.Path + "/namespaces/shop/nodes/web", 404, nil, []string{"web-shop-0"}, false},
		{"a slash in the namespace", []string{get}, "jane", v1alpha1.Path + "/namespaces/shop%2Fpods/pods/web", 403, nil, []string{"web-shop-0"}, false},
		{"a kind that is not synced", []string{"jane get leases shop/web"}, "jane", v1alpha1.Path + "/namespaces/shop/leases/web", 404, nil, nil, false},
		{"what there is", nil, "jane", v1alpha1.Path, 200, []string{`"name":"pods","singularName":"","namespaced":true,"kind":"Explanation","verbs":["get"]`, `"name":"nodes","singularName":"","namespaced":false`}, nil, false},
		{"another path", nil, "jane", v1alpha1.Path + "/", 404, []string{`"kind":"Status"`}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, source := &inside{rights: test.rights}, &looks{t: t}
			answer := ask(t, api, source, test.path, map[string][]string{"X-Remote-User": {test.user}})
			body := answer.Body.String()
			if answer.Code != test.code || !json.Valid([]byte(body)) {
				t.Errorf("got code %d, %s, want %d and JSON", answer.Code, body, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("got %s, want %s in it", body, want)
				}
			}
			for _, unwanted := range test.unwanted {
				if strings.Contains(body, unwanted) {
					t.Errorf("got %s, want no %s in it", body, unwanted)
				}
			}
			if looked := len(source.asked) > 0; looked != test.looked {
				t.Errorf("looked at %v, want %t", source.asked, test.looked)
			}
		})
	}
}

// TestCallerIsTheAPIServers wants the review to be about all that the API server says of the caller.
func TestCallerIsTheAPIServers(t *testing.T) {
	api := &inside{}
	ask(t, api, &looks{t: t}, v1alpha1.Path+"/namespaces/shop/pods/web", map[string][]string{
		"X-Remote-User": {"jane"}, "X-Remote-Uid": {"7"}, "X-Remote-Group": {"a", "b"}, "X-Remote-Extra-Example.org%2fscope": {"one"}})
	if len(api.about) != 1 {
		t.Fatalf("got %d reviews, want one", len(api.about))
	}
	got := api.about[0]
	if got.User != "jane" || got.UID != "7" || !slices.Equal(got.Groups, []string{"a", "b"}) || !slices.Equal(got.Extra["example.org/scope"], []string{"one"}) {
		t.Errorf("got %+v, want the caller whole", got)
	}
}

func ask(t *testing.T, api http.Handler, source Source, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	server := httptest.NewServer(api)
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	request, answer := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
	for name, values := range header {
		for _, value := range values {
			if value != "" {
				request.Header.Add(name, value)
			}
		}
	}
	New(Options{Source: source, Virtual: client}).ServeHTTP(answer, request)
	return answer
}

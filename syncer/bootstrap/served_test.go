// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
	"garret.dev/garret/syncer/translate"
)

// shelf is an API server that keeps what it is given under its path.
type shelf struct {
	mutex   sync.Mutex
	objects map[string]string
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	found, exists := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodPatch:
		body, _ := io.ReadAll(r.Body)
		found = string(body)
		s.objects[r.URL.Path] = found
	case !exists:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		return
	case r.Method == http.MethodGet && r.URL.Path == metricsAPI().path() && r.Header.Get("Accept") != "application/json":
		found = "k8s, and what is not JSON"
	case r.Method == http.MethodDelete:
		delete(s.objects, r.URL.Path)
	}
	fmt.Fprint(w, found)
}

// kinds are what there is, by the kinds' names in paths.
func (s *shelf) kinds() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var kinds []string
	for _, at := range slices.Sorted(maps.Keys(s.objects)) {
		kinds = append(kinds, path.Base(path.Dir(at)))
	}
	return strings.Join(kinds, " ")
}

// TestMetricsAPIService wants the APIService there while it is served, and what a tenant
// does about it to stand.
func TestMetricsAPIService(t *testing.T) {
	const all, service = "endpoints services apiservices endpointslices", "/api/v1/namespaces/kube-system/services/garret-metrics"
	theirs := `{"metadata":{"name":"v1beta1.metrics.k8s.io"},"spec":{"service":{"namespace":"kube-system","name":"metrics-server"}}}`
	type step struct {
		do   func(*Bootstrap, *shelf) error
		want string
	}
	offer := func(b *Bootstrap, _ *shelf) error { return b.offer(t.Context(), metricsAPI()) }
	withdraw := func(b *Bootstrap, _ *shelf) error { return b.withdraw(t.Context(), metricsAPI()) }
	gone := func(paths ...string) func(*Bootstrap, *shelf) error {
		return func(_ *Bootstrap, s *shelf) error {
			for _, each := range paths {
				delete(s.objects, each)
			}
			return nil
		}
	}
	replaced := func(_ *Bootstrap, s *shelf) error { s.objects[metricsAPI().path()] = theirs; return nil }
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"served", []step{{offer, all}, {offer, all}}},
		{"no longer served", []step{{offer, all}, {withdraw, ""}, {offer, all}}},
		{"deleted by a tenant", []step{{offer, all}, {gone(metricsAPI().path()), "endpoints services endpointslices"}, {offer, "endpoints services endpointslices"}}},
		{"deleted, and wanted again", []step{{offer, all}, {gone(metricsAPI().path(), service), "endpoints endpointslices"}, {offer, all}}},
		{"a metrics-server of the tenant's", []step{{replaced, "apiservices"}, {offer, "apiservices"}, {withdraw, "apiservices"}}},
		{"a step was cut short", []step{{offer, all}, {gone(service), "endpoints apiservices endpointslices"}, {offer, all}, {gone(service), "endpoints apiservices endpointslices"}, {withdraw, ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			shelf := &shelf{objects: map[string]string{}}
			server := httptest.NewServer(shelf)
			defer server.Close()
			client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
			if err != nil {
				t.Fatal(err)
			}
			b := New(Options{
				Translator: translate.New(translate.Cluster{ID: "one", PodIP: "10.0.0.9"}), Virtual: client,
				APIPort: 10250, APIAuthority: pki.ServerAuthority(pkitest.NewDataDir(t).Path),
			})
			for i, step := range test.steps {
				if err := step.do(b, shelf); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				if got := shelf.kinds(); got != step.want {
					t.Fatalf("after step %d: got %q, want %q", i, got, step.want)
				}
			}
			if registered, ours := shelf.objects[metricsAPI().path()]; ours && registered != theirs && !strings.Contains(registered, `"caBundle":"`) {
				t.Errorf("APIService: got %s, want it verified by an authority", registered)
			}
		})
	}
}

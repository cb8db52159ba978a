package server

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/client-go/openapi"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// TestAdmissionPluginsAreUpstreams fails when a new version of Kubernetes brings a plugin that
// the list here lacks.
func TestAdmissionPluginsAreUpstreams(t *testing.T) {
	got := admissionPlugins(&documentPaths{}).Registered()
	want := options.NewServerRunOptions().Admission.GenericAdmission.Plugins.Registered()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMutatingPoliciesStayAPlugin wants the wrapper to offer what upstream's plugin offers.
func TestMutatingPoliciesStayAPlugin(t *testing.T) {
	plugin, err := newMutatingPolicies(nil)
	if err != nil {
		t.Fatal(err)
	}
	var wrapped any = mutatingPolicies{Plugin: plugin, paths: &documentPaths{}}
	for what, offered := range map[string]func(any) bool{
		"MutationInterface":                offers[admission.MutationInterface],
		"ValidationInterface":              offers[admission.ValidationInterface],
		"InitializationValidator":          offers[admission.InitializationValidator],
		"WantsExternalKubeClientSet":       offers[initializer.WantsExternalKubeClientSet],
		"WantsExternalKubeInformerFactory": offers[initializer.WantsExternalKubeInformerFactory],
		"WantsDrainedNotification":         offers[initializer.WantsDrainedNotification],
		"WantsRESTMapper":                  offers[initializer.WantsRESTMapper],
		"WantsDynamicClient":               offers[initializer.WantsDynamicClient],
		"WantsFeatures":                    offers[initializer.WantsFeatures],
		"WantsAuthorizer":                  offers[initializer.WantsAuthorizer],
	} {
		if offered(wrapped) != offered(plugin) {
			t.Errorf("upstream's plugin offers %s: %t, and the one here: %t", what, offered(plugin), offered(wrapped))
		}
	}
	if !offers[initializer.WantsExternalKubeClientSet](wrapped) {
		t.Error("the plugin gets no client")
	}
}

func offers[I any](plugin any) bool {
	_, ok := plugin.(I)
	return ok
}

// TestDocumentsAreRequestedWhenTheyChange follows the list of documents from before the server
// runs.
func TestDocumentsAreRequestedWhenTheyChange(t *testing.T) {
	holds := time.Duration(0)
	paths, requests, body, code := &documentPaths{holds: func() time.Duration { return holds }}, 0, "one", http.StatusOK
	request := func() (map[string]openapi.GroupVersion, error) {
		requests++
		return map[string]openapi.GroupVersion{body: nil}, nil
	}
	want := func(when string, name string, times int) {
		t.Helper()
		got, err := paths.get(request)
		if _, found := got[name]; err != nil || !found || requests != times {
			t.Errorf("%s: got %v after %d requests, error %v, want %s after %d", when, got, requests, err, name, times)
		}
		// Whoever asks may change the answer.
		clear(got)
	}
	want("before the server runs", "one", 1)
	want("and again", "one", 2)
	paths.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi/v3" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	want("at first", "one", 3)
	want("unchanged", "one", 3)
	body = "two"
	want("changed", "two", 4)
	want("unchanged again", "two", 4)
	body, holds = "three", time.Hour
	want("changed while the last answer holds", "two", 4)
	holds = 0
	want("and when it holds no more", "three", 5)
	body = "two"
	want("changed back", "two", 6)
	code = http.StatusServiceUnavailable
	want("not served", "two", 7)
	holds = time.Hour
	want("not served, whatever holds", "two", 8)
}

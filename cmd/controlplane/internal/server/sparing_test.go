package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

const (
	garbageAgent = "controlplane/v1.37.2 (linux/amd64) kubernetes/abc/system:serviceaccount:kube-system:generic-garbage-collector"
	quotaAgent   = "controlplane/v1.37.2 (linux/amd64) kubernetes/abc/resourcequota-controller"
)

// TestReadsOfDiscovery has controllers read discovery as upstream's do, half a minute after each read.
func TestReadsOfDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tag, over := "one", make(chan struct{})
		s := newSparing(over)
		s.tag = func() string { return tag }
		server := s.before(func(api http.Handler, _ *genericapiserver.Config) http.Handler { return api })(
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tag)) }), nil)
		read := func(ctx context.Context, path, agent string) (time.Duration, string) {
			began, answer := time.Now(), httptest.NewRecorder()
			request := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			request.Header.Set("User-Agent", agent)
			server.ServeHTTP(answer, request)
			return time.Since(began), answer.Body.String()
		}
		pass := func(agent string, wantAPI, wantAPIs time.Duration, wantBody string) {
			t.Helper()
			api, _ := read(t.Context(), pathAPI, agent)
			apis, body := read(t.Context(), pathAPIs, agent)
			if api != wantAPI || apis != wantAPIs || body != wantBody {
				t.Errorf("got %q after %s and %s, want %q after %s and %s", body, api, apis, wantBody, wantAPI, wantAPIs)
			}
			time.Sleep(30 * time.Second)
		}
		later := func(after time.Duration, do func()) {
			go func() { time.Sleep(after); do() }()
		}
		for range sparedRepeats + 1 {
			pass(garbageAgent, 0, 0, "one")
		}
		pass(garbageAgent, sparedPatience, sparedPatience, "one")
		pass(quotaAgent, 0, 0, "one")
		later(7*time.Second, func() { tag = "two" })
		pass(garbageAgent, 10*time.Second, 0, "two")
		// What failed is tried again at upstream's pace.
		for range sparedRepeats {
			pass(garbageAgent, 0, 0, "two")
		}
		later(sparedPatience+time.Second, func() { tag = "three" })
		pass(garbageAgent, sparedPatience, sparedLook, "three")
		for range sparedRepeats {
			pass(garbageAgent, 0, 0, "three")
		}

		for _, other := range []string{"controlplane/v1.37.2/namespace-controller", "kubectl", "generic-garbage-collector-of-somebody", ""} {
			if took, _ := read(t.Context(), pathAPIs, other); took != 0 {
				t.Errorf("%q waited for %s", other, took)
			}
		}
		if took, _ := read(t.Context(), "/api/v1", garbageAgent); took != 0 {
			t.Errorf("a read of something else took %s", took)
		}
		// One of each name waits, and none for a caller that has left.
		first := make(chan time.Duration)
		go func() { took, _ := read(t.Context(), pathAPIs, garbageAgent); first <- took }()
		synctest.Wait()
		if took, _ := read(t.Context(), pathAPIs, garbageAgent); took != 0 {
			t.Errorf("a second of the name waited for %s", took)
		}
		if took := <-first; took != sparedPatience {
			t.Errorf("the first of the name waited for %s", took)
		}
		left, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if took, _ := read(left, pathAPIs, garbageAgent); took != time.Second {
			t.Errorf("a read whose caller left after a second took %s", took)
		}
		later(time.Second, func() { close(over) })
		pass(garbageAgent, time.Second, 0, "three")
		tag = ""
		pass(garbageAgent, 0, 0, "")
		pass(garbageAgent, 0, 0, "")
	})
}

// TestTagOfDiscovery wants a tag that stays the same until the API serves something else.
func TestTagOfDiscovery(t *testing.T) {
	api, apis := aggregated.NewResourceManager("api"), aggregated.NewResourceManager("apis")
	tag := discoveryTag(api, apis)
	seen := map[string]bool{}
	for _, change := range []func(){
		func() {},
		func() { apis.AddGroupVersion("example.org", apidiscoveryv2.APIVersionDiscovery{Version: "v1"}) },
		func() { api.AddGroupVersion("", apidiscoveryv2.APIVersionDiscovery{Version: "v1"}) },
		func() { apis.RemoveGroup("example.org") },
	} {
		change()
		now := tag()
		if now == "" || seen[now] {
			t.Errorf("got the tag %q, want one that no earlier state had", now)
		}
		if again := tag(); again != now {
			t.Errorf("got the tag %q after %q, though nothing has changed", again, now)
		}
		seen[now] = true
	}
}

package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestReadsOfDiscovery has a controller read discovery as upstream's do: with a limit of 32 seconds, and
// again half a minute after each read.
func TestReadsOfDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tag, over := "one", make(chan struct{})
		transport := &sparing{tag: func() string { return tag }, over: over, next: roundTripper(func(req *http.Request) (*http.Response, error) {
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(tag)), Request: req}, nil
		})}
		client := &http.Client{Transport: transport, Timeout: 32 * time.Second}
		read := func(path, userAgent string) (time.Duration, string) {
			t.Helper()
			req, err := http.NewRequest(http.MethodGet, "https://127.0.0.1"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("User-Agent", userAgent)
			began := time.Now()
			response, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s: %v after %s", path, err, time.Since(began))
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatalf("%s: %v after %s", path, err, time.Since(began))
			}
			return time.Since(began), string(body)
		}
		const garbage = "k3s/v1.37.2 (linux/amd64) kubernetes/abc/generic-garbage-collector"
		poll := func(want time.Duration, wantBody string) {
			t.Helper()
			if took, body := read("/api", garbage); took != want || body != wantBody {
				t.Errorf("got %q after %s, want %q after %s", body, took, wantBody, want)
			}
			if took, _ := read("/apis", garbage); took != 0 {
				t.Errorf("the second read took %s", took)
			}
			time.Sleep(30 * time.Second)
		}
		for range sparedRepeats {
			poll(0, "one")
		}
		poll(sparedPatience, "one")
		go func() {
			time.Sleep(65 * time.Second)
			tag = "two"
		}()
		poll(70*time.Second, "two")
		// What failed is tried again at upstream's pace.
		for range sparedRepeats {
			poll(0, "two")
		}
		poll(sparedPatience, "two")
		for _, other := range []string{"k3s/v1.37.2/namespace-controller", "kubectl", "generic-garbage-collector-of-somebody"} {
			if took, _ := read("/api", other); took != 0 {
				t.Errorf("%s waited for %s", other, took)
			}
		}
		if took, _ := read("/api/v1", garbage); took != 0 {
			t.Errorf("a read of something else took %s", took)
		}
		go func() {
			time.Sleep(time.Second)
			close(over)
		}()
		poll(time.Second, "two")
		tag = ""
		poll(0, "")
		poll(0, "")
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

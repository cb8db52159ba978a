// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// uncounted are metrics that nobody reads.
func uncounted(t *testing.T) *Metrics {
	t.Helper()
	m, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// newCountedFront is a front with metrics in a registry of its own.
func newCountedFront(t *testing.T, inside http.Handler) (*front, metrics.KubeRegistry) {
	t.Helper()
	f := newFront(t, inside)
	registry := metrics.NewKubeRegistry()
	counted, err := NewMetrics(registry.Register)
	if err != nil {
		t.Fatal(err)
	}
	f.relay = f.newRelay(clock.RealClock{})
	f.relay.metrics, f.relay.connections.metrics = counted, counted
	return f, registry
}

func TestMetrics(t *testing.T) {
	answers := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Query().Get("watch") != "":
			http.NewResponseController(w).Flush()
			<-req.Context().Done()
		case wantsUpgrade(req.Header):
			switching(t, switched("websocket"), echoThenBye)(w, req)
		case req.URL.Path == "/redirect":
			http.Redirect(w, req, "https://evil.example", http.StatusFound)
		default:
			io.Copy(io.Discard, req.Body)
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, "inside")
		}
	})
	f, registry := newCountedFront(t, answers)
	expect := func(names []string, want string) {
		t.Helper()
		var err error
		waitFor(t, func() bool {
			err = testutil.GatherAndCompare(registry, strings.NewReader(want), names...)
			return err == nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	get := func(method, path, body string) {
		t.Helper()
		io.Copy(io.Discard, do(t, newRequest(t, method, f.url(path), strings.NewReader(body))).Body)
	}
	get(http.MethodPost, "/api/v1/namespaces/a/pods", "four")
	get(http.MethodGet, "/api/v1/pods", "")
	get(http.MethodGet, "/redirect", "")
	get(http.MethodGet, "/a%2fb", "")
	get(http.MethodOptions, "/api", "")
	watch := do(t, newRequest(t, http.MethodGet, f.url("/api/v1/pods?watch=true"), nil))
	conn, reader, _ := f.raw(t, "GET "+testPrefix+execPath+" HTTP/1.1\r\nHost: h\r\n"+webSocketUpgrade+"\r\n12345")
	if _, err := io.ReadFull(reader, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	expect([]string{"garret_relay_open_streams"}, `
# HELP garret_relay_open_streams [ALPHA] Tunnels, watches and other long-running requests that are open, and requests that are held until their virtual cluster is awake.
# TYPE garret_relay_open_streams gauge
garret_relay_open_streams{kind="tunnel"} 1
garret_relay_open_streams{kind="watch"} 1
`)
	watch.Body.Close()
	conn.Close()
	expect([]string{"garret_relay_open_streams"}, `
# HELP garret_relay_open_streams [ALPHA] Tunnels, watches and other long-running requests that are open, and requests that are held until their virtual cluster is awake.
# TYPE garret_relay_open_streams gauge
garret_relay_open_streams{kind="tunnel"} 0
garret_relay_open_streams{kind="watch"} 0
`)
	f.inside.VirtualCluster.Status.Conditions, f.inside.VirtualCluster.Status.Phase = nil, tenancy.Phase(v1.PhaseFailed)
	get(http.MethodGet, "/api/v1/namespaces/a/pods/b", "")
	expect([]string{"garret_relay_requests_total", "garret_relay_credential_renewals_total", "garret_relay_credential_rejections_total"}, `
# HELP garret_relay_credential_rejections_total [ALPHA] Requests whose certificate the API server inside did not accept.
# TYPE garret_relay_credential_rejections_total counter
garret_relay_credential_rejections_total 0
# HELP garret_relay_credential_renewals_total [ALPHA] Certificates with which the relay began to enter virtual clusters.
# TYPE garret_relay_credential_renewals_total counter
garret_relay_credential_renewals_total 1
# HELP garret_relay_requests_total [ALPHA] Requests into virtual clusters, by verb inside, class of the status code, and reason, which only answers of the relay itself have.
# TYPE garret_relay_requests_total counter
garret_relay_requests_total{code="1xx",reason="",verb="get"} 1
garret_relay_requests_total{code="2xx",reason="",verb="watch"} 1
garret_relay_requests_total{code="4xx",reason="",verb="create"} 1
garret_relay_requests_total{code="4xx",reason="",verb="list"} 1
garret_relay_requests_total{code="4xx",reason="BadRequest",verb="get"} 1
garret_relay_requests_total{code="4xx",reason="MethodNotAllowed",verb="other"} 1
garret_relay_requests_total{code="5xx",reason="NotReady",verb="get"} 1
garret_relay_requests_total{code="5xx",reason="Redirect",verb="get"} 1
`)
	// The body, and what was said in the tunnel.
	in, err := testutil.GetCounterValuesFromGatherer(registry, "garret_relay_bytes_total", map[string]string{"direction": directionIn}, "direction")
	if err != nil || in[directionIn] != 4+5 {
		t.Errorf("%v bytes went in, %v; want 9", in, err)
	}
	for name, want := range map[string]uint64{
		// Those that were sent: not the two refused, nor the one of the failed cluster.
		"garret_relay_overhead_duration_seconds":   5,
		"garret_relay_first_byte_duration_seconds": 5,
		// Of those the ones that end by themselves.
		"garret_relay_request_duration_seconds": 3,
	} {
		histogram, err := testutil.GetHistogramVecFromGatherer(registry, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := histogram.GetAggregatedSampleCount(); got != want {
			t.Errorf("%s has %d samples, want %d", name, got, want)
		}
	}
}

func TestDialErrorsAreCounted(t *testing.T) {
	f, registry := newCountedFront(t, &recorder{})
	if _, err := f.relay.connections.get(t.Context(), f.inside.VirtualCluster); err != nil {
		t.Fatal(err)
	}
	f.inside.Close()
	do(t, newRequest(t, http.MethodGet, f.url("/api"), nil))
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP garret_relay_dial_errors_total [ALPHA] Connections to virtual clusters that did not come about: unreachable, or another server was there (identity).
# TYPE garret_relay_dial_errors_total counter
garret_relay_dial_errors_total{reason="unreachable"} 1
`), "garret_relay_dial_errors_total")
	if err != nil {
		t.Error(err)
	}
}

// TestMetricsOfSeveral has two relays register in one place, as two servers in
// one process do.
func TestMetricsOfSeveral(t *testing.T) {
	registry := metrics.NewKubeRegistry()
	for range 2 {
		if _, err := NewMetrics(registry.Register); err != nil {
			t.Error(err)
		}
	}
}

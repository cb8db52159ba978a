// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/framework"
)

// told are all attributes that a span of the controller may have: addresses and
// outcomes, and nothing of what an object holds.
var told = []string{
	"garret.virtualcluster.namespace", "garret.virtualcluster.name", "garret.virtualcluster.phase", "garret.virtualcluster.reason",
	"http.request.method", "url.full", "server.address", "server.port", "network.protocol.version", "http.response.status_code",
	"http.request.resend_count", "error.type",
}

func (s received) attribute(key string) string {
	for _, each := range s.Attributes {
		if each.Key == key {
			return each.Value.GetStringValue()
		}
	}
	return ""
}

// below tells whether the span is a child of the other.
func (s received) below(parent received) bool {
	return bytes.Equal(s.TraceId, parent.TraceId) && bytes.Equal(s.ParentSpanId, parent.SpanId)
}

// from are the spans that a program has sent.
func (c *collector) from(program string) []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s received) bool { return s.program != program })
}

// asks tells whether the span is of a request with this method and end of its path.
func (s received) asks(method, path string) bool {
	return s.attribute("http.request.method") == method && strings.HasSuffix(s.attribute("url.full"), path)
}

// TestPassesAreTraced has the controller deploy a virtual cluster and take it
// down, and looks at what a collector gets to see of it.
func TestPassesAreTraced(t *testing.T) {
	const marker = "marker-5d1e"
	within(t, func(options *apiserver.Options) { options.Tracing.ConfigFile = shared.collector.config })
	available(t)
	namespace := shared.host.NewNamespace(t, "traced-")
	in := clients(t).TenancyV1().VirtualClusters(namespace)
	host := newWire(t)
	controller := startController(t, host.lead, "--tracing-config-file="+shared.collector.everything)
	object := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	object.Spec.Kubernetes.ExtraArgs = []string{"--kube-apiserver-arg=cors-allowed-origins=//" + marker}
	if _, err := in.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	find := func(what string, is func(received) bool) (found received) {
		t.Helper()
		framework.Eventually(t, "there is a span of "+what, func(context.Context) (bool, error) {
			spans := shared.collector.from("garret-controller")
			i := slices.IndexFunc(spans, is)
			if i >= 0 {
				found = spans[i]
			}
			return i >= 0, controller.process.Ended()
		})
		return found
	}
	pass := func(s received) bool {
		return s.Name == "Reconcile" && s.attribute("garret.virtualcluster.namespace") == namespace && s.attribute("garret.virtualcluster.name") == "demo"
	}
	passOf := func(child received) received {
		t.Helper()
		return find("the pass around "+child.Name, func(s received) bool { return pass(s) && child.below(s) })
	}

	made := find("the request that makes the StatefulSet", func(s received) bool {
		return s.asks("POST", "/namespaces/"+namespace+"/statefulsets")
	})
	deploy := find("the deployment", func(s received) bool { return s.Name == "Deploy" && made.below(s) })
	first := passOf(deploy)
	if len(first.ParentSpanId) > 0 || first.attribute("garret.virtualcluster.phase") != string(v1.PhaseDeploying) || first.attribute("garret.virtualcluster.reason") == "" {
		t.Errorf("the pass that deploys: got parent %x and %v, want none, and what it came to", first.ParentSpanId, first.Attributes)
	}
	find("the Service, which comes before", func(s received) bool { return s.asks("POST", "/namespaces/"+namespace+"/services") && s.below(first) })
	find("Helm's record", func(s received) bool { return s.asks("POST", "/namespaces/"+namespace+"/secrets") && s.below(deploy) })
	find("the status", func(s received) bool { return s.asks("PATCH", "/virtualclusters/demo/status") && s.below(first) })
	want := fmt.Sprintf("00-%x-%x-01", made.TraceId, made.SpanId)
	if got := host.traceparent("POST", "/apis/apps/v1/namespaces/"+namespace+"/statefulsets"); got != want {
		t.Errorf("the request to the host announces the trace %q, want %q", got, want)
	}

	if err := in.Delete(t.Context(), "demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := find("the request that deletes the StatefulSet", func(s received) bool {
		return s.asks("DELETE", "/namespaces/"+namespace+"/statefulsets/vc-demo")
	})
	passOf(find("the end", func(s received) bool { return s.Name == "TearDown" && gone.below(s) }))
	framework.Eventually(t, "it is gone", func(ctx context.Context) (bool, error) {
		_, err := in.Get(ctx, "demo", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	find("the finalizer's removal", func(s received) bool { return s.asks("PATCH", "/virtualclusters/demo") && !s.below(first) })
	checkSpans(t, namespace, marker)
}

// checkSpans wants every request about the namespace to belong to a pass, and no
// span to say more than it may.
func checkSpans(t *testing.T, namespace, marker string) {
	t.Helper()
	// A pass ends after the requests in it, and may be sent after them.
	framework.Succeeds(t, "every request belongs to a pass", func(context.Context) error {
		return withoutPass(shared.collector.from("garret-controller"), namespace)
	})
	for _, s := range shared.collector.from("garret-controller") {
		if strings.Contains(s.attribute("url.full"), "?") || strings.Contains(s.String(), marker) {
			t.Errorf("a span says too much: %s", s)
		}
		for _, each := range s.Attributes {
			if !slices.Contains(told, each.Key) {
				t.Errorf("the span %s says %s=%v: is that nobody's secret?", s.Name, each.Key, each.Value)
			}
		}
	}
}

// withoutPass names the requests about the namespace that belong to no pass.
func withoutPass(spans []received, namespace string) error {
	passes := map[string]bool{}
	for _, s := range spans {
		if s.Name == "Reconcile" {
			passes[hex.EncodeToString(s.TraceId)] = true
		}
	}
	var lost []error
	for _, s := range spans {
		address := s.attribute("url.full")
		// Events are sent by themselves, later.
		if strings.Contains(address, "/namespaces/"+namespace+"/") && !strings.HasSuffix(address, "/events") && !passes[hex.EncodeToString(s.TraceId)] {
			lost = append(lost, fmt.Errorf("%s %s belongs to no pass", s.Name, address))
		}
	}
	return errors.Join(lost...)
}

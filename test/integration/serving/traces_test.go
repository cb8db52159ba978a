// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/framework"
)

// inside makes the one virtual cluster that has a control plane, and returns how
// a host user reaches it through the host, and a client that has got through.
func inside(t *testing.T) (*rest.Config, kubernetes.Interface) {
	t.Helper()
	available(t)
	client := clients(t)
	in := client.TenancyV1().VirtualClusters(insideKey.Namespace)
	object, err := in.Get(t.Context(), insideKey.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if err != nil {
		if _, err := core().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: insideKey.Namespace}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if object, err = in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: insideKey.Name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err = shared.virtual.Ready(t.Context(), client, object); err != nil {
			t.Fatal(err)
		}
	}
	// Other tests have the authority exchanged; a syncer is told by its mounted file.
	framework.Eventually(t, "the syncer knows garret-apiserver", func(ctx context.Context) (bool, error) {
		published, err := core().CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		return true, os.WriteFile(filepath.Join(shared.virtual.Dir, "garret-ca.crt"), []byte(published.Data[v1.CAConfigMapKey]), 0o600)
	})
	config := rest.CopyConfig(shared.host.Config)
	config.Host += "/apis/tenancy.garret.dev/v1/namespaces/" + insideKey.Namespace + "/virtualclusters/" + insideKey.Name + "/proxy"
	through, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever publishes the certificates does not know yet, at the first start.
	framework.Eventually(t, "the relay gets through", func(ctx context.Context) (bool, error) {
		_, err := through.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	return config, through
}

// withHeader adds a header to every request.
type withHeader struct {
	http.RoundTripper
	name, value string
}

func (w withHeader) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set(w.name, w.value)
	return w.RoundTripper.RoundTrip(req)
}

// TestTraceGoesAllTheWay follows one request from the host through
// garret-apiserver and the relay to the API server inside.
func TestTraceGoesAllTheWay(t *testing.T) {
	within(t, func(options *apiserver.Options) { options.Tracing.ConfigFile = shared.collector.config })
	config, _ := inside(t)
	trace, parent := make([]byte, 16), make([]byte, 8)
	_, _ = rand.Read(trace)
	_, _ = rand.Read(parent)
	config.Wrap(func(through http.RoundTripper) http.RoundTripper {
		return withHeader{through, "Traceparent", fmt.Sprintf("00-%x-%x-01", trace, parent)}
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "hunter2"
	if _, err := client.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{LabelSelector: "password=" + secret}); err != nil {
		t.Fatal(err)
	}

	find := func(program, name string) (received, bool) {
		spans := shared.collector.of(trace)
		i := slices.IndexFunc(spans, func(s received) bool { return s.program == program && strings.Contains(s.Name, name) })
		if i < 0 {
			return received{}, false
		}
		return spans[i], true
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, span := range shared.collector.of(trace) {
				t.Logf("%s %q trace %x parent %x", span.program, span.Name, span.TraceId, span.ParentSpanId)
			}
		}
	})
	var relayed received
	for _, want := range []struct{ what, program, name string }{
		{"garret-apiserver", "garret-apiserver", "/virtualclusters/{:name}/proxy"},
		{"the relay", "garret-apiserver", "Relay"},
		// To it the relay's user is one of many, whose trace it does not go on with: it links to it.
		{"the API server inside", "apiserver", "configmaps"},
	} {
		framework.Eventually(t, "there is a span of "+want.what, func(context.Context) (bool, error) {
			span, ok := find(want.program, want.name)
			if want.name == "Relay" {
				relayed = span
			}
			return ok, nil
		})
	}
	attributes := fmt.Sprint(relayed.Attributes)
	for _, want := range []string{insideKey.Namespace, insideKey.Name, "status_code", "audit-id"} {
		if !strings.Contains(attributes, want) {
			t.Errorf("the relay's span says %s, want %s in it", attributes, want)
		}
	}
	for _, span := range shared.collector.of(trace) {
		if span.program == "garret-apiserver" && strings.Contains(span.String(), secret) {
			t.Errorf("span %s holds a query: %s", span.Name, span.String())
		}
	}
}

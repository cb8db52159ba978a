// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bufio"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
)

// metricsReader is the role of the install chart for those who read metrics.
const metricsReader = "garret-metrics-reader"

// documented are our own metrics that docs/metrics.md names.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	file, err := framework.Document("metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, match := range regexp.MustCompile("`(garret_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		names[match[1]] = true
	}
	return names
}

// declared are the metrics of a page, those without a value yet excluded.
func declared(page string) map[string]bool {
	names := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			names[name] = true
		}
	}
	return names
}

// direct speaks to a replica itself, as a user of the host.
func direct(t *testing.T, r *replica, user framework.User) rest.Interface {
	t.Helper()
	bundle, err := published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := versioned.NewForConfig(user.Config("https://"+r.address, bundle))
	if err != nil {
		t.Fatal(err)
	}
	return client.TenancyV1().RESTClient()
}

// TestMetrics reads the pages of both programs, and holds them against docs/metrics.md.
func TestMetrics(t *testing.T) {
	port, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	namespace := shared.host.NewNamespace(t, "metrics-")
	stranger, reader := shared.host.Account(t, namespace, "stranger"), shared.host.Account(t, namespace, "prometheus")
	shared.host.BindClusterRole(t, reader, "", metricsReader)
	r := process(t, port)
	available(t)
	if _, err := direct(t, r, stranger).Get().AbsPath("/metrics").DoRaw(t.Context()); !apierrors.IsForbidden(err) {
		t.Errorf("anybody may read the metrics: got %v, want Forbidden", err)
	}
	client := direct(t, r, reader)
	// One request into a virtual cluster that is not there yet, so that the relay has something to count.
	tenancy := clients(t).TenancyV1()
	if _, err := tenancy.VirtualClusters(namespace).Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "pending"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var page string
	framework.Eventually(t, "the reader may read", func(ctx context.Context) (bool, error) {
		raw, err := client.Get().AbsPath("/metrics").DoRaw(ctx)
		page = string(raw)
		return err == nil, nil
	})
	exported := declared(page)
	for _, want := range []string{"apiserver_request_total", "apiserver_storage_objects", "etcd_request_duration_seconds", "kubernetes_build_info",
		"garret_apiserver_certificate_expiration_timestamp_seconds"} {
		if !exported[want] {
			t.Errorf("garret-apiserver does not export %s", want)
		}
	}
	for name := range declared(controllerPage(t)) {
		exported[name] = true
	}
	for _, want := range []string{"workqueue_depth", "rest_client_requests_total", "garret_virtualclusters", "garret_virtualcluster_reconcile_duration_seconds"} {
		if !exported[want] {
			t.Errorf("garret-controller does not export %s", want)
		}
	}
	names := documented(t)
	for name := range exported {
		if strings.HasPrefix(name, "garret_") && !names[name] {
			t.Errorf("%s is exported and not documented in docs/metrics.md", name)
		}
	}
	if strings.Contains(page, `"`+namespace+`"`) {
		t.Error("a label holds the name of a namespace")
	}
}

// controllerPage runs garret-controller until it has looked at a virtual cluster.
func controllerPage(t *testing.T) string {
	t.Helper()
	c := startController(t, straight, "--logging-format=json", "--v=2")
	var page string
	framework.Eventually(t, "garret-controller has worked", func(ctx context.Context) (bool, error) {
		raw, err := c.client(t, administrator(t)).Get().AbsPath("/metrics").DoRaw(ctx)
		page = string(raw)
		return err == nil && strings.Contains(page, `garret_virtualclusters{phase="`), c.process.Ended()
	})
	for _, line := range strings.Split(strings.TrimSpace(c.process.Log()), "\n")[1:] {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
	return page
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func manifest(namespace, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"demo","namespace":"%s"},"spec":%s}`, namespace, spec)
}

func TestKubectl(t *testing.T) {
	namespace := newNamespace(t)
	in := func(args ...string) []string { return append(args, "-n", namespace) }

	if got := mustKubectl(t, manifest(namespace, `{}`), "apply", "-f", "-"); !strings.Contains(got, "virtualcluster.tenancy.garret.dev/demo created") {
		t.Errorf("apply: got %q", got)
	}
	if got := mustKubectl(t, manifest(namespace, `{}`), "apply", "-f", "-"); !strings.Contains(got, "unchanged") {
		t.Errorf("apply of the same: got %q, want unchanged", got)
	}
	if got := mustKubectl(t, manifest(namespace, `{}`), "diff", "-f", "-"); got != "" {
		t.Errorf("diff of the same: got %q, want nothing", got)
	}
	if got := mustKubectl(t, manifest(namespace, `{"syncer":{"extraArgs":["--v=2"]}}`), "apply", "-f", "-"); !strings.Contains(got, "configured") {
		t.Errorf("apply of a change: got %q, want configured", got)
	}
	if got := mustKubectl(t, manifest(namespace, `{"syncer":{"extraArgs":["--v=3"]}}`), "apply", "--server-side", "--force-conflicts", "-f", "-"); !strings.Contains(got, "serverside-applied") {
		t.Errorf("server-side apply: got %q", got)
	}
	for _, name := range []string{"vc", "virtualcluster", "virtualclusters", "virtualclusters.v1.tenancy.garret.dev", "garret"} {
		table := regexp.MustCompile(`(?m)^NAME +PHASE +VERSION +AGE\n(virtualcluster.tenancy.garret.dev/)?demo +Pending +v1\.37\.2 +\d+s\n$`)
		if got := mustKubectl(t, "", in("get", name)...); !table.MatchString(got) {
			t.Errorf("get %s: got\n%s", name, got)
		}
	}
	wide := mustKubectl(t, "", in("get", "vc", "demo", "-o", "wide")...)
	for _, column := range []string{"DISTRO", "ENDPOINT", "CLUSTER-ID", "REASON", "MESSAGE", "k3s"} {
		if !strings.Contains(wide, column) {
			t.Errorf("get -o wide: got\n%swant %s", wide, column)
		}
	}
	if got := mustKubectl(t, "", in("get", "vc", "demo", "-o", "jsonpath={.spec.syncer.extraArgs[0]}")...); got != "--v=3" {
		t.Errorf("jsonpath: got %q, want --v=3", got)
	}
	mustKubectl(t, "", in("patch", "vc", "demo", "--subresource=status", "--type=merge",
		"-p", `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Test","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)...)
	mustKubectl(t, "", in("wait", "--for=condition=Ready", "vc/demo", "--timeout=10s")...)
	mustKubectl(t, "", in("label", "vc", "demo", "a=b")...)
	mustKubectl(t, "", in("delete", "vc", "demo", "--dry-run=server")...)
	mustKubectl(t, "", in("delete", "vc", "demo", "--timeout=30s")...)
}

// TestExplain wants a sentence for every field.
func TestExplain(t *testing.T) {
	for _, path := range []string{
		"vc", "vc.spec", "vc.status", "vc.spec.kubernetes", "vc.spec.controlPlane", "vc.spec.controlPlane.storage",
		"vc.spec.controlPlane.datastore", "vc.spec.syncer", "vc.spec.helm", "vc.status.release",
	} {
		got := mustKubectl(t, "", "explain", path)
		if strings.Contains(got, "<no description>") || !strings.Contains(got, "DESCRIPTION") {
			t.Errorf("explain %s lacks a description:\n%s", path, got)
		}
	}
	if got := mustKubectl(t, "", "explain", "vc.spec", "--recursive"); !strings.Contains(got, "endpointSecretRef") {
		t.Errorf("explain --recursive: got\n%s", got)
	}
}

func TestDeletionShowsAtOnce(t *testing.T) {
	in := clusters(t)
	object := named("demo")
	object.Finalizers = []string{"example.com/hold"}
	namespace := create(t, in, object).Namespace
	mustKubectl(t, "", "-n", namespace, "delete", "vc", "demo", "--wait=false")
	if got := mustKubectl(t, "", "-n", namespace, "get", "vc", "demo", "--no-headers"); !strings.Contains(got, "Terminating") {
		t.Errorf("get: got %q, want Terminating", got)
	}
	mustKubectl(t, "", "-n", namespace, "patch", "vc", "demo", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	gone(t, in, "demo")
}

func TestFieldErrorsReachTheUser(t *testing.T) {
	output, err := kubectl(t, manifest(newNamespace(t), `{"kubernetes":{"version":"v1.20.0"}}`), "apply", "-f", "-")
	if err == nil || !strings.Contains(output, "spec.kubernetes.version") || !strings.Contains(output, "v1.37.2") {
		t.Errorf("got %q, %v; want the field and a version that works", output, err)
	}
	output, err = kubectl(t, manifest(newNamespace(t), `{"kubernets":{}}`), "apply", "-f", "-")
	if err == nil || !strings.Contains(output, `unknown field "spec.kubernets"`) {
		t.Errorf("misspelt field: got %q, %v; want it named", output, err)
	}
}

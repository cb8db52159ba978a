// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"strings"
	"testing"
)

func manifest(namespace, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"demo","namespace":"%s"},"spec":%s}`, namespace, spec)
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/test/integration/framework"
)

// exampleKey is the virtual cluster that the example of the typed clients makes.
var exampleKey = types.NamespacedName{Namespace: insideNamespace, Name: "example"}

// TestExampleOfTypedClients runs the program of docs/examples against the real
// server, and uses the kubeconfig that it writes.
func TestExampleOfTypedClients(t *testing.T) {
	enter(t)
	program := filepath.Join(t.TempDir(), "typed-client")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "garret.dev/garret/docs/examples/typed-client").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	command := exec.CommandContext(t.Context(), program, "--kubeconfig", shared.host.Kubeconfig,
		"--namespace", exampleKey.Namespace, "--name", exampleKey.Name)
	var kubeconfig, progress bytes.Buffer
	command.Stdout, command.Stderr = &kubeconfig, &progress
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	in := shared.garret.Clients.TenancyV1().VirtualClusters(exampleKey.Namespace)
	t.Cleanup(func() { _ = in.Delete(context.Background(), exampleKey.Name, metav1.DeleteOptions{}) })
	eventually(t, "the example has applied it, and it is ready", func(ctx context.Context) (bool, error) {
		object, err := in.Get(ctx, exampleKey.Name, metav1.GetOptions{})
		if err != nil {
			return false, nil
		}
		_, err = shared.virtual.Ready(ctx, shared.garret.Clients, object)
		return err == nil, nil
	})
	if err := command.Wait(); err != nil {
		t.Fatalf("the example: %v\n%s", err, progress.Bytes())
	}
	if want := "virtual clusters in " + exampleKey.Namespace + ": [example]"; !bytes.Contains(progress.Bytes(), []byte(want)) {
		t.Errorf("got %q, want %q in it", progress.String(), want)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := framework.Kubectl(t, file, "", "get", "namespaces"); err != nil {
		t.Errorf("the kubeconfig does not work: %v: %s", err, output)
	}
}

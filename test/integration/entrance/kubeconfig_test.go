// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/kubelet"
)

// TestKubeconfig asks at each door for one that goes past them all.
func TestKubeconfig(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		pod := d.name + "-direct"
		kubelet.NewPod(t, shared.virtual.ControlPlane, pod)
		alice := may(t, certified(t, "alice", "dev"), namespace, to("get", clusters), to("create", clusters+"/kubeconfig"))
		clients, err := versioned.NewForConfig(alice.Config("https://"+d.address, d.authority))
		if err != nil {
			t.Fatal(err)
		}
		in := clients.TenancyV1().VirtualClusters(namespace)
		object, err := in.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		request := &v1.KubeconfigRequest{ObjectMeta: metav1.ObjectMeta{UID: object.UID}}
		got, err := in.CreateKubeconfig(t.Context(), name, request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(got.Status.ExpirationTimestamp.Time); left < 50*time.Minute || left > 70*time.Minute {
			t.Errorf("the credential lives %s, want an hour", left)
		}
		c := framework.WriteClient(t, got.Status.Kubeconfig)
		want := `host:` + alice.Name + ` ["garret:kubeconfig:` + got.Status.CredentialID + `","system:authenticated"]`
		if got := c.Do(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"); got != want {
			t.Errorf("inside I am %s, want %s", got, want)
		}
		if got := c.Do(t, "exec", pod, "--", "echo", "hello"); got != "hello\n" {
			t.Errorf("exec: got %q", got)
		}
		path := objectPath(name, namespace) + "/kubeconfig"
		audited(t, "the log has the request, with the credential's id and serial number", path, func(e event) bool {
			return e.ObjectRef.Subresource == "kubeconfig" && e.User.Username == alice.Name &&
				e.Annotations[access.AuditCredential] == got.Status.CredentialID && e.Annotations[access.AuditSerial] != ""
		})
		long := `{"apiVersion":"tenancy.garret.dev/v1","kind":"KubeconfigRequest","spec":{"expirationSeconds":999999}}`
		out, err := alice.Client(t, "https://"+d.address, d.authority).Input(long).Output("create", "--raw", path, "-f", "-")
		if err != nil || !strings.Contains(out, "Warning") {
			t.Errorf("a life too long: got %q, %v; want a warning", out, err)
		}
	})
}

// TestExampleOfTypedClients runs the program of docs/examples against the real
// server, and uses the kubeconfig that it writes.
func TestExampleOfTypedClients(t *testing.T) {
	t.Parallel()
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
	framework.Eventually(t, "the example has applied it, and it is ready", func(ctx context.Context) (bool, error) {
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
	framework.WriteClient(t, kubeconfig.Bytes()).Do(t, "get", "namespaces")
}

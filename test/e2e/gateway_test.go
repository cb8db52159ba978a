// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// gateway opens Garret's own address on a port of the node, enters by it,
// and closes it again.
func gateway(t *testing.T, ns string) {
	admin := shared.Admin()
	node := admin.Do(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	admin.Garret(t, "install", "--set", "apiserver.gateway.enabled=true", "--set", "apiserver.gateway.hostnames={"+node+"}",
		"--set", "apiserver.gateway.service.type=NodePort", "--set", "apiserver.gateway.service.nodePort=30443")
	t.Cleanup(func() {
		admin.Garret(t, "install", "--set", "apiserver.gateway.enabled=false")
		admin.Refused(t, "NotFound", "get", "service", "garret-gateway", "-n", "garret-system")
	})
	inside := shared.ThroughGateway(t, shared.Kubeconfig, ns, "demo")
	if server := inside.Do(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"); server != fmt.Sprintf("https://%s:30443/clusters/%s/demo", node, ns) {
		t.Fatalf("the context leads to %s, want the node's port", server)
	}
	// The node learns about a new Service in its own time.
	framework.SucceedsWithin(t, 30*time.Second, "the node leads its port to the gateway", func(context.Context) error {
		_, err := inside.Try("get", "--raw", "/readyz")
		return err
	})
	inside.Apply(t, manifest(t, "shell.yaml"))
	inside.Do(t, "wait", "--for=condition=Ready", "pod/shell", "--timeout=90s")

	t.Run("an administrator with a client certificate", func(t *testing.T) {
		if out := inside.Do(t, "auth", "whoami"); !strings.Contains(out, "garret:admins") {
			t.Errorf("whoami: want garret:admins in\n%s", out)
		}
		for _, protocol := range protocols {
			if out := inside.With(protocol.env...).Do(t, "exec", "shell", "-c", "shell", "--", "echo", "in"); out != "in\n" {
				t.Errorf("exec over %s: got %q", protocol.name, out)
			}
		}
		admin.Do(t, "get", "vc", "demo", "-n", ns)
	})

	t.Run("a ServiceAccount that may get the virtual cluster", func(t *testing.T) {
		admin.Do(t, "create", "serviceaccount", "gina", "-n", ns)
		admin.Do(t, "create", "role", "gina", "-n", ns, "--verb=get", "--resource=virtualclusters", "--resource-name=demo")
		admin.Do(t, "create", "rolebinding", "gina", "-n", ns, "--role=gina", "--serviceaccount="+ns+":gina")
		gina := plain(t, ns, node, strings.TrimSpace(admin.Do(t, "create", "token", "gina", "-n", ns)))
		framework.SucceedsWithin(t, 30*time.Second, "gina sees pods", func(context.Context) error {
			_, err := gina.Try("get", "pods")
			return err
		})
		if out := gina.Do(t, "auth", "whoami"); !strings.Contains(out, "host:system:serviceaccount:"+ns+":gina") || !strings.Contains(out, "garret:viewers") {
			t.Errorf("whoami: want host:…:gina in garret:viewers in\n%s", out)
		}
		for _, protocol := range protocols {
			gina.With(protocol.env...).Refused(t, `cannot create resource "pods/exec"`, "exec", "shell", "-c", "shell", "--", "true")
		}
		gina.Refused(t, "orbidden", "delete", "pod", "shell")
		admin.Do(t, "patch", "vc", "demo", "-n", ns, "--type=merge", "-p",
			`{"spec":{"access":[{"users":["system:serviceaccount:`+ns+`:gina"],"clusterRole":"edit"}]}}`)
		framework.SucceedsWithin(t, 30*time.Second, "spec.access lets gina exec", func(context.Context) error {
			_, err := gina.Try("exec", "shell", "-c", "shell", "--", "true")
			return err
		})
		gina.Do(t, "delete", "pod", "shell", "--now")
	})

	t.Run("a stranger", func(t *testing.T) {
		admin.Do(t, "create", "serviceaccount", "stranger", "-n", ns)
		stranger := plain(t, ns, node, strings.TrimSpace(admin.Do(t, "create", "token", "stranger", "-n", ns)))
		stranger.Refused(t, `cannot get resource "virtualclusters"`, "get", "--raw", "/api")
	})
}

// plain is kubectl as a user sets it up by hand, with what the host publishes.
func plain(t *testing.T, ns, node, token string) framework.Client {
	t.Helper()
	admin := shared.Admin()
	authority := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(authority, []byte(admin.Do(t, "get", "configmap", "garret-apiserver-ca", "-n", "garret-system", "-o", `jsonpath={.data.ca\.crt}`)), 0o600); err != nil {
		t.Fatal(err)
	}
	client := framework.NewClient(filepath.Join(t.TempDir(), "kubeconfig"))
	client.Do(t, "config", "set-cluster", "c", "--server", "https://"+node+":30443/clusters/"+ns+"/demo", "--certificate-authority", authority, "--embed-certs")
	client.Do(t, "config", "set-credentials", "u", "--token", token)
	client.Do(t, "config", "set-context", "c", "--cluster", "c", "--user", "u")
	client.Do(t, "config", "use-context", "c")
	return client
}

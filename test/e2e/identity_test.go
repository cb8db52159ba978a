// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

// TestIdentityInside has alice, who may do everything, and bob, who may look in
// and has a role by spec.access, in one virtual cluster that keeps an audit log.
func TestIdentityInside(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-identity")
	admin.Apply(t, suite.Object(ns, "demo", `{access: [{users: [bob], clusterRole: edit}], helm: {values: {audit: {enabled: true}}}}`))
	admin.Do(t, "create", "rolebinding", "alice", "-n", ns, "--clusterrole=admin", "--user=alice")
	admin.Do(t, "create", "rolebinding", "bob", "-n", ns, "--clusterrole=garret-enter-readonly", "--user=bob")
	for _, condition := range []string{"Ready", "AccessApplied"} {
		admin.Do(t, "wait", "--for=condition="+condition, "virtualcluster/demo", "-n", ns, "--timeout=180s")
	}
	user := shared.User(t, "alice", "devs")
	alice := shared.ThroughRelay(t, user.Kubeconfig, ns, "demo")

	t.Run("alice is herself inside, in the audit log too", func(t *testing.T) {
		out := alice.Do(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")
		for _, want := range []string{"host:alice ", `"host:devs"`, `"garret:admins"`} {
			if !strings.Contains(out, want) {
				t.Errorf("whoami: got %s, want %s in it", out, want)
			}
		}
		alice.Do(t, "create", "namespace", "of-alice")
		framework.SucceedsWithin(t, 30*time.Second, "the audit log names alice", func(context.Context) error { return inAuditLog(ns, "host:alice", "/api/v1/namespaces?") })
	})
	t.Run("a kubeconfig that is held to a role", func(t *testing.T) { heldToRole(t, ns, user, alice) })
	t.Run("a kubeconfig kept in a Secret", func(t *testing.T) { keptInASecret(t, ns) })
	t.Run("kubectl alone is enough", func(t *testing.T) { rawKubeconfig(t, ns, user) })
	t.Run("spec.access gives and takes", func(t *testing.T) {
		bob := shared.ThroughRelay(t, shared.User(t, "bob").Kubeconfig, ns, "demo")
		// Readers from the host may not see secrets; the role edit inside may.
		framework.SucceedsWithin(t, 30*time.Second, "spec.access lets bob see secrets", func(context.Context) error { _, err := bob.Try("get", "secrets"); return err })
		admin.Do(t, "patch", "virtualcluster", "demo", "-n", ns, "--type=merge", "-p", `{"spec":{"access":[]}}`)
		start := time.Now()
		framework.SucceedsWithin(t, 30*time.Second, "bob may no longer see secrets", func(context.Context) error {
			if out, err := bob.Try("get", "secrets"); err == nil || !strings.Contains(err.Error(), "orbidden") {
				return fmt.Errorf("got %q, %v; want it forbidden", out, err)
			}
			return nil
		})
		t.Logf("refused %v after the change of spec.access", time.Since(start).Round(time.Millisecond))
		bob.Do(t, "get", "pods") // he may still look in
	})
	t.Run("deletion takes the kubeconfig along", func(t *testing.T) {
		admin.Do(t, "get", "secret", "demo-kubeconfig", "-n", ns)
		admin.Do(t, "delete", "virtualcluster", "demo", "-n", ns, "--timeout=60s")
		admin.Refused(t, "not found", "get", "secret", "demo-kubeconfig", "-n", ns)
	})
}

// keptInASecret has the syncer write a kubeconfig on a whole host, where an admission policy
// holds it to its own objects, and enters with it as Cluster API does.
func keptInASecret(t *testing.T, ns string) {
	admin := shared.Admin()
	admin.Do(t, "patch", "virtualcluster", "demo", "-n", ns, "--type=merge", "-p",
		`{"spec":{"kubeconfigSecret":{"name":"demo-kubeconfig","format":"ClusterAPI","clusterRole":"view"}}}`)
	admin.Do(t, "wait", "--for=condition=KubeconfigSecretWritten", "virtualcluster/demo", "-n", ns, "--timeout=60s")
	encoded := admin.Do(t, "get", "secret", "demo-kubeconfig", "-n", ns, "-o", "jsonpath={.data.value}")
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	// No DNS of the host names the Service here; its name is verified all the same.
	address := admin.Do(t, "get", "service", "vc-demo", "-n", ns, "-o", "jsonpath=https://{.spec.clusterIP}")
	tool := framework.WriteClient(t, content)
	there := []string{"--server=" + address, "--tls-server-name=vc-demo." + ns + ".svc"}
	if server := tool.Do(t, "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"); server != "https://vc-demo."+ns+".svc" {
		t.Errorf("got server %s, want the Service", server)
	}
	tool.Do(t, append(there, "get", "pods", "-A")...)
	tool.Refused(t, "orbidden", append(there, "get", "secrets", "-A")...)
}

// heldToRole takes a kubeconfig of the role view and revokes it.
func heldToRole(t *testing.T, ns string, user, alice framework.Client) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(user.Garret(t, "kubeconfig", "demo", "--namespace", ns, "--cluster-role", "view")), 0o600); err != nil {
		t.Fatal(err)
	}
	held := framework.NewClient(file)
	held.Do(t, "get", "pods", "-A")
	held.Refused(t, "orbidden", "create", "configmap", "c")
	held.Refused(t, "orbidden", "get", "secrets")
	name := held.Do(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.groups[0]}")
	if who := held.Do(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"); who != name+":alice" {
		t.Errorf("whoami: got %s, want alice's credential %s", who, name)
	}
	alice.Do(t, "delete", "clusterrolebinding", name)
	start := time.Now()
	framework.SucceedsWithin(t, 30*time.Second, "the kubeconfig may no longer see pods", func(context.Context) error {
		if out, err := held.Try("get", "pods", "-A"); err == nil || !strings.Contains(err.Error(), "orbidden") {
			return fmt.Errorf("got %q, %v; want it forbidden", out, err)
		}
		return nil
	})
	t.Logf("refused %v after its binding was deleted", time.Since(start).Round(time.Millisecond))

	_, err := user.Tool("garret", "kubeconfig", "demo", "--namespace", ns, "--cluster-role", "no-such-role")
	if err == nil || !strings.Contains(err.Error(), "spec.clusterRole") {
		t.Errorf("a role that is not there: got %v, want the field named", err)
	}
}

// rawKubeconfig asks without Garret's own command.
func rawKubeconfig(t *testing.T, ns string, user framework.Client) {
	path := fmt.Sprintf("/apis/tenancy.garret.dev/v1/namespaces/%s/virtualclusters/demo/kubeconfig", ns)
	request := `{"apiVersion":"tenancy.garret.dev/v1","kind":"KubeconfigRequest","spec":{"expirationSeconds":600,"clusterRole":"edit"}}`
	out, err := user.Input(request).Try("create", "--raw", path, "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status struct {
			Kubeconfig          []byte
			CredentialID        string
			ExpirationTimestamp time.Time
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(answer.Status.ExpirationTimestamp); left <= 0 || left > 11*time.Minute {
		t.Errorf("it lives %v, want ten minutes", left)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, answer.Status.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	framework.NewClient(file).Do(t, "create", "configmap", "by-"+answer.Status.CredentialID)
	if _, err := user.Input(strings.Replace(request, "600", "60", 1)).Try("create", "--raw", path, "-f", "-"); err == nil || !strings.Contains(err.Error(), "expirationSeconds") {
		t.Errorf("a life of a minute: got %v, want the field named", err)
	}
}

// inAuditLog looks for a request by the relay as somebody in the log of the control plane.
func inAuditLog(ns, user, path string) error {
	log, err := shared.Admin().Try("logs", "-n", ns, "vc-demo-0", "-c", "k3s")
	if err != nil {
		return err
	}
	for line := range strings.Lines(log) {
		var event struct {
			Kind, RequestURI string
			User             struct{ Username string }
			ImpersonatedUser struct{ Username string }
		}
		if json.Unmarshal([]byte(line), &event) == nil && event.Kind == "Event" &&
			event.User.Username == "garret:relay" && event.ImpersonatedUser.Username == user && strings.HasPrefix(event.RequestURI, path) {
			return nil
		}
	}
	return fmt.Errorf("no request of %s to %s in the audit log", user, path)
}

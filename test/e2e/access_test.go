// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// TestAccess lets users with different rights on the host in, or not, and has the
// virtual API server deny by itself.
func TestAccess(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-access")
	shared.VirtualCluster(t, ns, "demo")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Apply(t, manifest(t, "shell.yaml"))
	inside.Do(t, "wait", "--for=condition=Ready", "pod/shell", "--timeout=90s")

	t.Run("a stranger gets nothing", func(t *testing.T) {
		mallory := shared.User(t, "mallory")
		mallory.Refused(t, "Forbidden", "get", "virtualcluster", "demo", "-n", ns)
		if _, err := mallory.Tool("garret", "kubeconfig", "demo", "--namespace", ns); err == nil || !strings.Contains(err.Error(), "orbidden") {
			t.Errorf("kubeconfig: got %v, want Forbidden", err)
		}
		mallory.Refused(t, "orbidden", "get", "--raw", proxyPath(ns, "demo", "/api/v1/namespaces"))
		mallory.Refused(t, "orbidden", "create", "--raw", proxyPath(ns, "demo", "/api/v1/namespaces"), "-f", "testdata/shell.yaml")
	})

	t.Run("a reader lists pods and cannot exec", func(t *testing.T) {
		admin.Do(t, "create", "role", "reader", "-n", ns, "--verb=get", "--resource=virtualclusters,virtualclusters/proxy")
		admin.Do(t, "create", "rolebinding", "reader", "-n", ns, "--role=reader", "--user=rita")
		user := shared.User(t, "rita")
		framework.SucceedsWithin(t, 20*time.Second, "the host knows what rita may", func(context.Context) error {
			_, err := user.Try("get", "vc", "demo", "-n", ns)
			return err
		})
		rita := shared.ThroughRelay(t, user.Kubeconfig, ns, "demo")
		if out := rita.Do(t, "get", "pods"); !strings.Contains(out, "shell") {
			t.Errorf("pods: got %q, want shell among them", out)
		}
		if out := rita.Do(t, "logs", "shell", "-c", "shell", "--tail=1"); !strings.HasPrefix(out, "line") {
			t.Errorf("logs: got %q", out)
		}
		for _, protocol := range protocols {
			if out, err := rita.With(protocol.env...).Try("exec", "shell", "-c", "shell", "--", "echo", "in"); err == nil {
				t.Errorf("exec over %s: got %q, want it forbidden", protocol.name, out)
			} else if !strings.Contains(err.Error(), "orbidden") && !strings.Contains(err.Error(), "403") {
				t.Errorf("exec over %s: got %v, want it forbidden", protocol.name, err)
			}
		}
		rita.Refused(t, "orbidden", "delete", "pod", "shell")
		rita.Refused(t, "orbidden", "get", "secrets")
	})

	t.Run("a member of a group with the proxy is administrator inside", func(t *testing.T) {
		admin.Do(t, "create", "role", "owner", "-n", ns, "--verb=*", "--resource=virtualclusters,virtualclusters/proxy,virtualclusters/kubeconfig")
		admin.Do(t, "create", "rolebinding", "owner", "-n", ns, "--role=owner", "--group=owners")
		user := shared.User(t, "olga", "owners")
		framework.SucceedsWithin(t, 20*time.Second, "the host knows what the owners may", func(context.Context) error {
			_, err := user.Try("get", "vc", "demo", "-n", ns)
			return err
		})
		olga := shared.ThroughRelay(t, user.Kubeconfig, ns, "demo")
		out := olga.Do(t, "auth", "whoami")
		for _, want := range []string{"host:olga", "host:owners", "garret:admins"} {
			if !strings.Contains(out, want) {
				t.Errorf("auth whoami: want %q in\n%s", want, out)
			}
		}
		if strings.Contains(out, "system:masters") {
			t.Errorf("auth whoami: got system:masters in\n%s", out)
		}
		olga.Do(t, "create", "namespace", "olgas")
		olga.Do(t, "exec", "shell", "-c", "shell", "--", "true")
	})

	t.Run("a caller cannot choose who it is inside", func(t *testing.T) {
		out := inside.Do(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
		if !strings.HasPrefix(out, "host:") {
			t.Errorf("user inside: got %q, want a name beginning host:", out)
		}
		// Impersonation is asked of the host, which allows it to its
		// administrator: inside it must not reach beyond the prefix.
		out, err := inside.Try("auth", "whoami", "--as=system:admin", "--as-group=system:masters", "-o", "jsonpath={.status.userInfo}")
		if err == nil && (strings.Contains(out, `"system:masters"`) || strings.Contains(out, `"system:admin"`)) {
			t.Errorf("impersonation reached the inside unprefixed: %s", out)
		}
	})

	t.Run("RBAC inside", func(t *testing.T) {
		inside.Do(t, "create", "serviceaccount", "limited")
		inside.Do(t, "create", "role", "limited", "--verb=list", "--resource=configmaps")
		inside.Do(t, "create", "rolebinding", "limited", "--role=limited", "--serviceaccount=default:limited")
		as := "--as=system:serviceaccount:default:limited"
		alone := shared.StandAlone(t, ns, "demo")
		alone.Do(t, "get", "configmaps", as)
		alone.Refused(t, "orbidden", "get", "secrets", as)
		alone.Refused(t, "orbidden", "get", "configmaps", "-n", "kube-system", as)
	})

	t.Run("a kind that the host does not know", func(t *testing.T) {
		inside.Apply(t, manifest(t, "crd.yaml"))
		inside.Established(t, "crd/widgets.example.com")
		admin.Refused(t, "NotFound", "get", "crd", "widgets.example.com")
	})
}

func proxyPath(ns, name, path string) string {
	return fmt.Sprintf("/apis/tenancy.garret.dev/v1/namespaces/%s/virtualclusters/%s/proxy%s", ns, name, path)
}

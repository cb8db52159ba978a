// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
)

// controller is a process of garret-controller, with the rights that the install
// chart gives it and no others.
type controller struct {
	address string
	process *framework.Process
}

// straight is the way to the host that kubeconfigs name anyway.
func straight(*testing.T, string) {}

// startController starts one with these flags, whose kubeconfig the function may change before.
func startController(t *testing.T, lead func(t *testing.T, kubeconfig string), flags ...string) *controller {
	t.Helper()
	port, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := shared.host.WriteServiceAccount(t.Context(), kubeconfig, v1.SystemNamespace, "garret-controller"); err != nil {
		t.Fatal(err)
	}
	lead(t, kubeconfig)
	running, err := framework.Start(dir, "garret-controller", append([]string{"--kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--leader-elect=false"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = running.End(os.Interrupt)
		if t.Failed() {
			t.Logf("the end of the log of garret-controller:\n%s", running.Log())
		}
	})
	return &controller{address: fmt.Sprintf("127.0.0.1:%d", port), process: running}
}

// administrator is the host's, by client certificate.
func administrator(t *testing.T) framework.User {
	t.Helper()
	return shared.host.Certified(t, "administrator", user.SystemPrivilegedGroup)
}

// client asks the controller as a user of the host. It does not verify the
// certificate, which the controller has made itself.
func (c *controller) client(t *testing.T, caller framework.User) rest.Interface {
	t.Helper()
	config := caller.Config("https://"+c.address, nil)
	config.Insecure = true
	client, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.TenancyV1().RESTClient()
}

// TestControllerAsksTheHost reads the controller's metrics as several callers.
func TestControllerAsksTheHost(t *testing.T) {
	namespace := shared.host.NewNamespace(t, "reader-")
	stranger, reader := shared.host.Account(t, namespace, "stranger"), shared.host.Account(t, namespace, "prometheus")
	shared.host.BindClusterRole(t, reader, "", metricsReader)
	c := startController(t, straight)
	read := func(ctx context.Context, caller framework.User, path string) error {
		return c.client(t, caller).Get().AbsPath(path).Do(ctx).Error()
	}
	var anonymous framework.User
	admin := administrator(t)
	nobody := framework.User{AuthInfo: clientcmdapi.AuthInfo{Token: "nonsense"}}
	framework.Eventually(t, "it is alive to everybody", func(ctx context.Context) (bool, error) {
		return read(ctx, anonymous, "/livez") == nil, c.process.Ended()
	})
	if err := read(t.Context(), anonymous, "/metrics"); !apierrors.IsForbidden(err) {
		t.Errorf("without credentials: got %v, want Forbidden", err)
	}
	if err := read(t.Context(), nobody, "/metrics"); !apierrors.IsUnauthorized(err) {
		t.Errorf("with a token of nobody's: got %v, want Unauthorized", err)
	}
	if err := read(t.Context(), stranger, "/metrics"); !apierrors.IsForbidden(err) {
		t.Errorf("with a token that grants nothing: got %v, want Forbidden", err)
	}
	framework.Eventually(t, "the host's administrator may read, by certificate", func(ctx context.Context) (bool, error) {
		return read(ctx, admin, "/metrics") == nil, c.process.Ended()
	})
	framework.Eventually(t, "the reader may read", func(ctx context.Context) (bool, error) {
		return read(ctx, reader, "/metrics") == nil, c.process.Ended()
	})
	if err := read(t.Context(), reader, "/debug/pprof/"); !apierrors.IsForbidden(err) {
		t.Errorf("anything else: got %v, want Forbidden", err)
	}
}

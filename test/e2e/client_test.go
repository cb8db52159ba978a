// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run executes a command and returns what it wrote to both streams.
func run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// client is kubectl and garret, used with one kubeconfig.
type client struct {
	kubeconfig string
	env        []string
}

func (s suite) admin() client { return client{kubeconfig: s.kubeconfig} }

// with returns the client with more variables in its environment.
func (c client) with(env ...string) client {
	c.env = append(append([]string{}, c.env...), env...)
	return c
}

func (c client) command(ctx context.Context, tool string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(shared.bin, tool), args...)
	cmd.Env = append(append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "PATH="+shared.bin+":"+os.Getenv("PATH")), c.env...)
	return cmd
}

// try runs kubectl and returns its standard output; an error holds its standard error.
func (c client) try(args ...string) (string, error) { return c.tool("kubectl", "", args...) }

// do runs kubectl and fails the test where it fails.
func (c client) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// apply sends manifests to kubectl apply.
func (c client) apply(t *testing.T, manifests string, args ...string) string {
	t.Helper()
	out, err := c.tool("kubectl", manifests, append([]string{"apply", "-f", "-"}, args...)...)
	if err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, manifests)
	}
	return out
}

// garret runs the CLI and fails the test where it fails.
func (c client) garret(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.tool("garret", "", args...)
	if err != nil {
		t.Fatalf("garret %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (c client) tool(tool, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := c.command(ctx, tool, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &stdout, &stderr, strings.NewReader(input)
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// refused runs kubectl, which must fail with want in what it says.
func (c client) refused(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := c.try(args...)
	if err == nil {
		t.Fatalf("kubectl %s: got %q, want it refused with %q", strings.Join(args, " "), out, want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Fatalf("kubectl %s: got %v, want %q in it", strings.Join(args, " "), err, want)
	}
}

// eventually calls check until it succeeds, and fails the test with its last
// error when that takes longer than limit.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	err := errors.New("not checked")
	for time.Now().Before(deadline) {
		if err = check(); err == nil {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	t.Fatalf("not so within %s: %v", limit, err)
}

// namespace creates a namespace on the host that goes with the test.
func namespace(t *testing.T, name string) string {
	t.Helper()
	admin := shared.admin()
	admin.do(t, "create", "namespace", name)
	t.Cleanup(func() {
		if t.Failed() {
			describe(t, name)
		}
		if out, err := admin.try("delete", "namespace", name, "--ignore-not-found", "--timeout=120s"); err != nil {
			t.Errorf("deleting namespace %s: %v\n%s", name, err, out)
		}
	})
	return name
}

// describe logs what a reader of a failure wants to see of a host namespace.
func describe(t *testing.T, namespace string) {
	admin := shared.admin()
	for _, args := range [][]string{
		{"get", "virtualclusters,statefulsets,pods,services,persistentvolumeclaims", "-n", namespace, "-o", "wide"},
		{"get", "events", "-n", namespace, "--sort-by=.lastTimestamp"},
		{"logs", "-n", namespace, "-l", "app.kubernetes.io/managed-by=Helm", "-c", "syncer", "--tail=40", "--prefix"},
		{"logs", "-n", namespace, "-l", "app.kubernetes.io/managed-by=Helm", "-c", "k3s", "--tail=20", "--prefix"},
		{"logs", "-n", "garret-system", "deployment/garret-controller", "--tail=40"},
	} {
		out, err := admin.try(args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// virtualCluster makes a virtual cluster and waits until it is ready.
func virtualCluster(t *testing.T, namespace, name string) {
	t.Helper()
	admin := shared.admin()
	admin.apply(t, fmt.Sprintf("apiVersion: tenancy.garret.dev/v1\nkind: VirtualCluster\nmetadata: {name: %s, namespace: %s}\n", name, namespace))
	admin.do(t, "wait", "--for=condition=Ready", "virtualcluster/"+name, "-n", namespace, "--timeout=180s")
}

// throughRelay returns a client that reaches the virtual cluster as the user
// of the given host kubeconfig, written by `garret use vcluster`.
func throughRelay(t *testing.T, hostKubeconfig, namespace, name string) client {
	t.Helper()
	content, err := os.ReadFile(hostKubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	c := client{kubeconfig: path}
	c.garret(t, "use", "vcluster", name, "--namespace", namespace)
	return c
}

// standAlone returns a client with a kubeconfig that works without the host.
func standAlone(t *testing.T, namespace, name string) client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := shared.admin().garret(t, "kubeconfig", name, "--namespace", namespace)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return client{kubeconfig: path}
}

// userKubeconfig returns a kubeconfig of a host user with no rights of its own.
func userKubeconfig(t *testing.T, name string, groups ...string) string {
	t.Helper()
	if shared.cluster == nil {
		t.Skip("needs the suite's own host to make users")
	}
	path, err := shared.cluster.UserKubeconfig(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// manifest reads a file of testdata.
func manifest(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

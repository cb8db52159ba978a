// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/framework"
)

// Admin is the host's administrator.
func (s *Suite) Admin() framework.Client { return framework.NewClient(s.Kubeconfig) }

// Namespace creates a namespace on the host that goes with the test.
func (s *Suite) Namespace(t testing.TB, name string) string {
	t.Helper()
	admin := s.Admin()
	admin.Do(t, "create", "namespace", name)
	t.Cleanup(func() {
		if t.Failed() {
			s.describe(t, name)
		}
		// Virtual clusters first: what waits for a pod in a namespace that goes
		// waits for half of its grace period, whenever the pod ends.
		for _, what := range [][]string{{"virtualclusters", "--all", "-n", name}, {"namespace", name}} {
			args := append([]string{"delete", "--ignore-not-found", "--timeout=230s"}, what...)
			if out, err := admin.Try(args...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
	return name
}

// describe logs what a reader of a failure wants to see of a host namespace.
func (s *Suite) describe(t testing.TB, namespace string) {
	for _, args := range [][]string{
		{"get", "virtualclusters,statefulsets,pods,services,persistentvolumeclaims", "-n", namespace, "-o", "wide"},
		{"get", "events", "-n", namespace, "--sort-by=.lastTimestamp"},
		{"logs", "-n", namespace, "-l", "tenancy.garret.dev/virtual-cluster", "-c", "syncer", "--tail=40", "--prefix"},
		{"logs", "-n", namespace, "-l", "tenancy.garret.dev/virtual-cluster", "-c", "k3s", "--tail=20", "--prefix"},
		{"logs", "-n", "garret-system", "-l", "app.kubernetes.io/part-of=garret", "--tail=40", "--prefix"},
	} {
		out, err := s.Admin().Try(args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Object is the manifest of a virtual cluster; spec is YAML in flow style.
func Object(namespace, name, spec string) string {
	return fmt.Sprintf("apiVersion: tenancy.garret.dev/v1\nkind: VirtualCluster\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", name, namespace, spec)
}

// VirtualCluster makes a virtual cluster and waits until it is ready.
func (s *Suite) VirtualCluster(t testing.TB, namespace, name string) {
	t.Helper()
	s.Admin().Apply(t, Object(namespace, name, "{}"))
	s.Admin().Do(t, "wait", "--for=condition=Ready", "virtualcluster/"+name, "-n", namespace, "--timeout=180s")
}

// Await waits until a condition of a virtual cluster has a status and a reason.
func (s *Suite) Await(t testing.TB, namespace, name, condition, status, reason string) {
	t.Helper()
	path := fmt.Sprintf(`jsonpath={range .status.conditions[?(@.type==%q)]}{.status} {.reason}: {.message}{end}`, condition)
	framework.SucceedsWithin(t, 2*time.Minute, fmt.Sprintf("%s of %s is %s for %s", condition, name, status, reason), func(context.Context) error {
		got, err := s.Admin().Try("get", "vc", name, "-n", namespace, "-o", path)
		if err == nil && !strings.HasPrefix(got, status+" "+reason+":") {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
}

// ThroughRelay returns a client that reaches the virtual cluster as the user
// of the given host kubeconfig, written by `garret use`.
func (s *Suite) ThroughRelay(t testing.TB, hostKubeconfig, namespace, name string) framework.Client {
	t.Helper()
	return through(t, hostKubeconfig, "use", "vcluster", name, "--namespace", namespace)
}

// ThroughGateway is as ThroughRelay, by way of the address that Garret itself
// has on the host and publishes there.
func (s *Suite) ThroughGateway(t testing.TB, hostKubeconfig, namespace, name string) framework.Client {
	t.Helper()
	return through(t, hostKubeconfig, "use", "vcluster", name, "--namespace", namespace, "--gateway")
}

func through(t testing.TB, hostKubeconfig string, use ...string) framework.Client {
	t.Helper()
	content, err := os.ReadFile(hostKubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c := framework.WriteClient(t, content)
	c.Garret(t, use...)
	return c
}

// StandAlone returns a client with a kubeconfig that works without the host.
func (s *Suite) StandAlone(t testing.TB, namespace, name string) framework.Client {
	t.Helper()
	return framework.WriteClient(t, []byte(s.Admin().Garret(t, "kubeconfig", name, "--namespace", namespace)))
}

// User returns the client of a host user who has no rights of their own. Only a
// host that the suite brought up gives users certificates; on another one its
// administrator acts as the user, who is the same to everything behind authentication.
func (s *Suite) User(t testing.TB, name string, groups ...string) framework.Client {
	t.Helper()
	if s.Cluster == nil {
		return s.actAs(t, name, groups)
	}
	path, err := s.Cluster.UserKubeconfig(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return framework.NewClient(path)
}

func (s *Suite) actAs(t testing.TB, name string, groups []string) framework.Client {
	t.Helper()
	config, err := clientcmd.LoadFromFile(s.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate, user.ImpersonateGroups = name, groups
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return framework.WriteClient(t, content)
}

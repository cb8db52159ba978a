// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNeighbours runs the same names in three virtual clusters, two of them
// in one namespace of the host.
func TestNeighbours(t *testing.T) {
	admin := shared.admin()
	one, two := namespace(t, "e2e-neighbours"), namespace(t, "e2e-apart")
	places := []struct{ ns, name string }{{one, "left"}, {one, "right"}, {two, "other"}}
	for _, place := range places {
		admin.apply(t, fmt.Sprintf("apiVersion: tenancy.garret.dev/v1\nkind: VirtualCluster\nmetadata: {name: %s, namespace: %s}\n", place.name, place.ns))
	}
	inside := map[string]client{}
	for _, place := range places {
		admin.do(t, "wait", "--for=condition=Ready", "vc/"+place.name, "-n", place.ns, "--timeout=240s")
		c := throughRelay(t, shared.kubeconfig, place.ns, place.name)
		inside[place.name] = c
		c.do(t, "create", "configmap", "settings", "--from-literal=owner="+place.name)
		c.apply(t, `apiVersion: v1
kind: Service
metadata: {name: same}
spec: {selector: {app: same}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: same, labels: {app: same}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --http-port=8080]
    env: [{name: OWNER, valueFrom: {configMapKeyRef: {name: settings, key: owner}}}]
`)
	}
	addresses := map[string]string{}
	for name, c := range inside {
		c.do(t, "wait", "--for=condition=Ready", "pod/same", "--timeout=90s")
		if got := strings.TrimSpace(c.do(t, "exec", "same", "--", "printenv", "OWNER")); got != name {
			t.Errorf("owner in %s: got %q", name, got)
		}
		address := c.do(t, "get", "service", "same", "-o", "jsonpath={.spec.clusterIP}")
		if other, taken := addresses[address]; taken {
			t.Errorf("address %s: %s and %s have the same", address, other, name)
		}
		addresses[address] = name
		if out := c.do(t, "get", "endpointslices", "-l", "kubernetes.io/service-name=same", "-o", "jsonpath={.items[*].endpoints[*].addresses[*]}"); len(strings.Fields(out)) != 1 {
			t.Errorf("endpoints of the Service in %s: got %q, want its own pod alone", name, out)
		}
	}
	for _, ns := range []string{one, two} {
		out := admin.do(t, "get", "endpointslices", "-n", ns, "-l", "garret.dev/cluster", "-o", `jsonpath={range .items[*]}{.metadata.name}{" "}{.endpoints[*].addresses[*]}{"\n"}{end}`)
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "same") && len(strings.Fields(line)) != 2 {
				t.Errorf("endpoints on the host: got %q, want one pod", line)
			}
		}
	}

	admin.do(t, "delete", "vc", "left", "-n", one, "--timeout=120s")
	inside["right"].do(t, "exec", "same", "--", "true")
	if got := strings.TrimSpace(inside["right"].do(t, "exec", "same", "--", "printenv", "OWNER")); got != "right" {
		t.Errorf("right after left was deleted: got owner %q", got)
	}
}

// TestKills kills each part with SIGKILL and goes on working.
func TestKills(t *testing.T) {
	ns := namespace(t, "e2e-kills")
	virtualCluster(t, ns, "demo")
	inside := throughRelay(t, shared.kubeconfig, ns, "demo")
	inside.do(t, "create", "deployment", "web", "--image=registry.k8s.io/pause:3.10", "--replicas=2")
	inside.do(t, "rollout", "status", "deployment/web", "--timeout=90s")

	for _, part := range []struct{ name, namespace, selector, container string }{
		{"syncer", ns, "statefulset.kubernetes.io/pod-name=vc-demo-0", "syncer"},
		{"control plane", ns, "statefulset.kubernetes.io/pod-name=vc-demo-0", "k3s"},
		{"garret-apiserver", "garret-system", "app.kubernetes.io/component=apiserver", ""},
	} {
		t.Run(part.name, func(t *testing.T) {
			marker := strings.ReplaceAll(part.name, " ", "-")
			inside.do(t, "create", "configmap", marker, "--from-literal=written=before")
			killContainer(t, part.namespace, part.selector, part.container)
			eventually(t, 90*time.Second, func() error {
				_, err := inside.try("get", "configmap", marker)
				return err
			})
			eventually(t, 90*time.Second, func() error {
				_, err := inside.try("create", "deployment", marker, "--image=registry.k8s.io/pause:3.10")
				if err != nil && strings.Contains(err.Error(), "AlreadyExists") {
					err = nil
				}
				return err
			})
			inside.do(t, "rollout", "status", "deployment/"+marker, "--timeout=120s")
			inside.do(t, "rollout", "status", "deployment/web", "--timeout=60s")
			shared.admin().do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=90s")
		})
	}
}

// killContainer sends SIGKILL to every process of a container, found by the
// container's id in the cgroup paths, and waits until it runs anew.
func killContainer(t *testing.T, ns, selector, container string) {
	t.Helper()
	admin := shared.admin()
	path := `jsonpath={range .items[*].status.containerStatuses[*]}{.name}{"="}{.containerID}{"\n"}{end}`
	current := func() (string, error) {
		out, err := admin.try("get", "pods", "-n", ns, "-l", selector, "-o", path)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out) {
			name, id, _ := strings.Cut(strings.TrimSpace(line), "=containerd://")
			if id != "" && (container == "" || container == name) {
				return id, nil
			}
		}
		return "", fmt.Errorf("no running container %q in %q", container, out)
	}
	id, err := current()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := killCgroup(id); err != nil || n == 0 {
		t.Fatalf("killing container %s: %d processes, %v", id, n, err)
	}
	eventually(t, 90*time.Second, func() error {
		now, err := current()
		if err == nil && now == id {
			err = errors.New("the container was not started again yet")
		}
		return err
	})
}

func killCgroup(id string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	killed := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), id) {
			continue // processes come and go
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return killed, err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return killed, err
		}
		killed++
	}
	return killed, nil
}

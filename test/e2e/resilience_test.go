// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/suite"
)

// TestNeighbours runs the same names in three virtual clusters, two of them
// in one namespace of the host.
func TestNeighbours(t *testing.T) {
	admin := shared.Admin()
	one, two := shared.Namespace(t, "e2e-neighbours"), shared.Namespace(t, "e2e-apart")
	places := []struct{ ns, name string }{{one, "left"}, {one, "right"}, {two, "other"}}
	for _, place := range places {
		admin.Apply(t, suite.Object(place.ns, place.name, "{}"))
	}
	inside := map[string]suite.Client{}
	for _, place := range places {
		admin.Do(t, "wait", "--for=condition=Ready", "vc/"+place.name, "-n", place.ns, "--timeout=240s")
		c := shared.ThroughRelay(t, shared.Kubeconfig, place.ns, place.name)
		inside[place.name] = c
		c.Do(t, "create", "configmap", "settings", "--from-literal=owner="+place.name)
		c.Apply(t, `apiVersion: v1
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
		c.Do(t, "wait", "--for=condition=Ready", "pod/same", "--timeout=90s")
		if got := strings.TrimSpace(c.Do(t, "exec", "same", "--", "sh", "-c", "echo $OWNER")); got != name {
			t.Errorf("owner in %s: got %q", name, got)
		}
		address := c.Do(t, "get", "service", "same", "-o", "jsonpath={.spec.clusterIP}")
		if other, taken := addresses[address]; taken {
			t.Errorf("address %s: %s and %s have the same", address, other, name)
		}
		addresses[address] = name
		suite.Eventually(t, time.Minute, func() error {
			out, err := c.Try("get", "endpointslices", "-l", "kubernetes.io/service-name=same", "-o", "jsonpath={.items[*].endpoints[*].addresses[*]}")
			if err == nil && len(strings.Fields(out)) != 1 {
				err = fmt.Errorf("endpoints of the Service in %s: got %q, want its own pod alone", name, out)
			}
			return err
		})
	}
	for _, ns := range []string{one, two} {
		suite.Eventually(t, time.Minute, func() error {
			out, err := admin.Try("get", "endpointslices", "-n", ns, "-l", "garret.dev/cluster", "-o", `jsonpath={range .items[*]}{.metadata.name}{" "}{.endpoints[*].addresses[*]}{"\n"}{end}`)
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, "same") && len(strings.Fields(line)) != 2 {
					err = fmt.Errorf("endpoints on the host: got %q, want one pod", line)
				}
			}
			return err
		})
	}

	admin.Do(t, "delete", "vc", "left", "-n", one, "--timeout=120s")
	inside["right"].Do(t, "exec", "same", "--", "true")
	if got := strings.TrimSpace(inside["right"].Do(t, "exec", "same", "--", "sh", "-c", "echo $OWNER")); got != "right" {
		t.Errorf("right after left was deleted: got owner %q", got)
	}
}

// TestKills kills each part with SIGKILL and goes on working.
func TestKills(t *testing.T) {
	ns := shared.Namespace(t, "e2e-kills")
	shared.VirtualCluster(t, ns, "demo")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Do(t, "create", "deployment", "web", "--image=registry.k8s.io/pause:3.10", "--replicas=2")
	inside.Do(t, "rollout", "status", "deployment/web", "--timeout=90s")

	for _, part := range []struct{ name, namespace, selector, container string }{
		{"syncer", ns, "statefulset.kubernetes.io/pod-name=vc-demo-0", "syncer"},
		{"control plane", ns, "statefulset.kubernetes.io/pod-name=vc-demo-0", "k3s"},
		{"garret-apiserver", "garret-system", "app.kubernetes.io/name=garret-apiserver", ""},
	} {
		t.Run(part.name, func(t *testing.T) {
			marker := strings.ReplaceAll(part.name, " ", "-")
			inside.Do(t, "create", "configmap", marker, "--from-literal=written=before")
			killContainer(t, part.namespace, part.selector, part.container)
			suite.Eventually(t, 90*time.Second, func() error {
				_, err := inside.Try("get", "configmap", marker)
				return err
			})
			suite.Eventually(t, 90*time.Second, func() error {
				_, err := inside.Try("create", "deployment", marker, "--image=registry.k8s.io/pause:3.10")
				if err != nil && strings.Contains(err.Error(), "AlreadyExists") {
					err = nil
				}
				return err
			})
			// The host may hold the API for unavailable once more for a moment.
			for _, deployment := range []string{marker, "web"} {
				suite.Eventually(t, 2*time.Minute, func() error {
					_, err := inside.Try("rollout", "status", "deployment/"+deployment, "--timeout=60s")
					return err
				})
			}
			shared.Admin().Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=90s")
		})
	}
}

// killContainer kills a container and waits until it runs anew.
func killContainer(t *testing.T, ns, selector, container string) {
	t.Helper()
	id, err := shared.ContainerID(ns, selector, container)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := suite.Kill(id); err != nil || n == 0 {
		t.Fatalf("killing container %s: %d processes, %v", id, n, err)
	}
	suite.Eventually(t, 90*time.Second, func() error {
		now, err := shared.ContainerID(ns, selector, container)
		if err == nil && now == id {
			err = errors.New("the container was not started again yet")
		}
		return err
	})
}

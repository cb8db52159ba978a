// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

// TestNeighbours runs the same names in three virtual clusters, two of them
// in one namespace of the host. Two are deleted, one of them with its namespace;
// the third takes no notice.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	one, two := shared.Namespace(t, "e2e-neighbours"), shared.Namespace(t, "e2e-apart")
	places := []struct{ ns, name string }{{one, "left"}, {one, "right"}, {two, "other"}}
	for _, place := range places {
		admin.Apply(t, suite.Object(place.ns, place.name, "{}"))
	}
	inside := map[string]framework.Client{}
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
	inside["other"].Apply(t, manifest(t, "storage.yaml")) // there is a volume, too, when its namespace goes
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
		framework.SucceedsWithin(t, time.Minute, "its own pod alone is behind the Service", func(context.Context) error {
			out, err := c.Try("get", "endpointslices", "-l", "kubernetes.io/service-name=same", "-o", "jsonpath={.items[*].endpoints[*].addresses[*]}")
			if err == nil && len(strings.Fields(out)) != 1 {
				err = fmt.Errorf("endpoints of the Service in %s: got %q, want its own pod alone", name, out)
			}
			return err
		})
	}
	for _, ns := range []string{one, two} {
		framework.SucceedsWithin(t, time.Minute, "one pod is behind each Service on the host", func(context.Context) error {
			out, err := admin.Try("get", "endpointslices", "-n", ns, "-l", "garret.dev/cluster", "-o", `jsonpath={range .items[*]}{.metadata.name}{" "}{.endpoints[*].addresses[*]}{"\n"}{end}`)
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, "same") && len(strings.Fields(line)) != 2 {
					err = fmt.Errorf("endpoints on the host: got %q, want one pod", line)
				}
			}
			return err
		})
	}

	t.Run("a Service of a neighbour", func(t *testing.T) {
		admin.Do(t, "patch", "vc", "right", "-n", one, "--type=merge", "-p", fmt.Sprintf(
			`{"spec":{"syncer":{"fromHost":{"services":{"mappings":[{"from":{"virtualCluster":{"namespace":%q,"name":"other"},"namespace":"default","name":"same"},"to":{"namespace":"default","name":"elsewhere"}}]}}}}}`, two))
		answers(t, inside["right"], "same", "elsewhere", "same")
		if got := inside["right"].Do(t, "get", "service", "elsewhere", "-o", "jsonpath={.spec.clusterIP}"); addresses[got] != "other" {
			t.Errorf("address of the neighbour's Service: got %s, which is that of %q", got, addresses[got])
		}
	})

	inside["other"].Do(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=90s")
	err := framework.Together(
		func() error { _, err := admin.Try("delete", "vc", "left", "-n", one, "--timeout=120s"); return err },
		func() error { _, err := admin.Try("delete", "namespace", two, "--timeout=120s"); return err })
	if err != nil {
		t.Fatal(err)
	}
	inside["right"].Do(t, "exec", "same", "--", "true")
	if got := strings.TrimSpace(inside["right"].Do(t, "exec", "same", "--", "sh", "-c", "echo $OWNER")); got != "right" {
		t.Errorf("right after its neighbours were deleted: got owner %q", got)
	}
}

// part is something of which the product is made.
type part struct {
	name, namespace, selector string
	// container is the name of one of its pod's; empty means the first one.
	container string
}

// TestKills kills what is a virtual cluster's own; TestOperations kills the rest.
func TestKills(t *testing.T) {
	t.Parallel()
	ns := shared.Namespace(t, "e2e-kills")
	shared.VirtualCluster(t, ns, "demo")
	const pod = "statefulset.kubernetes.io/pod-name=vc-demo-0"
	for _, part := range []part{{"syncer", ns, pod, "syncer"}, {"control-plane", ns, pod, "k3s"}} {
		t.Run(part.name, func(t *testing.T) { killed(t, ns, part) })
	}
}

// killed kills a part with SIGKILL and goes on working.
func killed(t *testing.T, ns string, part part) {
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	before, after := part.name+"-before", part.name+"-after"
	inside.Do(t, "create", "deployment", before, "--image=registry.k8s.io/pause:3.10", "--replicas=2")
	inside.Do(t, "rollout", "status", "deployment/"+before, "--timeout=90s")
	inside.Do(t, "create", "configmap", before)
	killContainer(t, part)
	framework.SucceedsWithin(t, 90*time.Second, "what was written before is there", func(context.Context) error {
		_, err := inside.Try("get", "configmap", before)
		return err
	})
	framework.SucceedsWithin(t, 90*time.Second, "something new can be made", func(context.Context) error {
		_, err := inside.Try("create", "deployment", after, "--image=registry.k8s.io/pause:3.10")
		if err != nil && strings.Contains(err.Error(), "AlreadyExists") {
			err = nil
		}
		return err
	})
	// The host may hold the API for unavailable once more for a moment.
	for _, deployment := range []string{after, before} {
		framework.SucceedsWithin(t, 2*time.Minute, "the deployment "+deployment+" is whole", func(context.Context) error {
			_, err := inside.Try("rollout", "status", "deployment/"+deployment, "--timeout=60s")
			return err
		})
	}
	shared.Admin().Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=90s")
}

// killContainer kills a container and waits until it runs anew.
func killContainer(t *testing.T, part part) {
	t.Helper()
	id, err := shared.ContainerID(part.namespace, part.selector, part.container)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := suite.Kill(id); err != nil || n == 0 {
		t.Fatalf("killing container %s: %d processes, %v", id, n, err)
	}
	framework.SucceedsWithin(t, 90*time.Second, "the container runs anew", func(context.Context) error {
		now, err := shared.ContainerID(part.namespace, part.selector, part.container)
		if err == nil && now == id {
			err = errors.New("the container was not started again yet")
		}
		return err
	})
}

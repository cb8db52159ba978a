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
)

const statefulSet = `apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: db}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: app, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [netexec, --http-port=8080]}]
`

// TestNodesInside treats the nodes inside as those of any cluster: it reaches node
// ports there, cordons and drains them, and has disruption budgets hold on the host.
func TestNodesInside(t *testing.T) {
	t.Parallel()
	openPriorities(t)
	ns := shared.Namespace(t, "e2e-nodes")
	o := runTenant(t, ns, `{syncer: {extraArgs: ["--sync-resources=poddisruptionbudgets"], pods: `+rulesOfPriority+`,
  fromHost: {deviceClasses: {enabled: true, selector: {matchLabels: {e2e: shown}}}},
  toHost: {resourceClaims: {enabled: true}, serviceAccounts: {enabled: true}, services: {mappings: [{from: {namespace: default, name: web}, to: shop}]}}}}`)
	inside, host := o.inside, shared.Admin()
	inside.Apply(t, statefulSet)
	inside.Apply(t, burning) // for usage, which needs some measurements of it
	inside.Do(t, "rollout", "status", "statefulset/db", "--timeout=120s")

	t.Run("full name", func(t *testing.T) {
		if hosts := inside.Do(t, "exec", "db-0", "--", "cat", "/etc/hosts"); !strings.Contains(hosts, "\tdb-0.db.default.svc.cluster.local\tdb-0\n") {
			t.Errorf("/etc/hosts of db-0: got %q, want its full name before the short one", hosts)
		}
		if name := inside.Do(t, "exec", "db-0", "--", "hostname"); name != "db-0\n" {
			t.Errorf("hostname: got %q, want db-0", name)
		}
		if containers := inside.Do(t, "get", "pod", "db-0", "-o", "jsonpath={.spec.initContainers}{.status.initContainerStatuses}"); containers != "" {
			t.Errorf("init containers inside: got %s, want none", containers)
		}
	})

	t.Run("node port", func(t *testing.T) {
		node := inside.Do(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
		port := inside.Do(t, "get", "service", "web", "-o", "jsonpath={.spec.ports[0].nodePort}")
		framework.SucceedsWithin(t, 30*time.Second, "a node port answers at the node's address", func(context.Context) error {
			answer, err := inside.Try("get", "--raw", fmt.Sprintf(
				"/api/v1/namespaces/default/pods/db-1:8080/proxy/dial?host=%s&port=%s&protocol=http&request=hostname&tries=1", node, port))
			if err == nil && !strings.Contains(answer, `"responses":["db-`) {
				err = errors.New(answer)
			}
			return err
		})
	})

	t.Run("further name on the host", func(t *testing.T) {
		framework.SucceedsWithin(t, 30*time.Second, "the pods answer under the name on the host", func(context.Context) error {
			answer, err := host.Try("get", "--raw", "/api/v1/namespaces/"+ns+"/services/shop:80/proxy/hostname")
			if err == nil && !strings.HasPrefix(answer, "db-") {
				err = errors.New(answer)
			}
			return err
		})
	})
	t.Run("service account on the host", func(t *testing.T) {
		pod := `{.items[?(@.metadata.annotations.garret\.dev/virtual-name=="db-0")].spec.`
		account := host.Do(t, "get", "pods", "-n", ns, "-l", "garret.dev/cluster", "-o", "jsonpath="+pod+"serviceAccountName}")
		mounted := host.Do(t, "get", "pods", "-n", ns, "-l", "garret.dev/cluster", "-o", "jsonpath="+pod+"automountServiceAccountToken}")
		copied := host.Do(t, "get", "serviceaccount", account, "-n", ns, "-o", `jsonpath={.metadata.annotations.garret\.dev/virtual-name} {.automountServiceAccountToken} {.imagePullSecrets}{.secrets}`)
		if copied != "default false " || mounted != "false" {
			t.Errorf("the account %s is of %q, its token is mounted: %s; want that of the account default inside, without a token", account, copied, mounted)
		}
		if out, err := host.Try("auth", "can-i", "get", "pods", "-n", ns, "--as=system:serviceaccount:"+ns+":"+account); err == nil {
			t.Errorf("the account may get pods on the host: %s", out)
		}
	})

	t.Run("names", func(t *testing.T) { names(t, inside) })
	t.Run("names by rule", func(t *testing.T) { namesByRule(t, o) })
	t.Run("embedded DNS", func(t *testing.T) { embeddedDNS(t, o) })
	t.Run("preemption", func(t *testing.T) { preemption(t, o) })
	t.Run("devices", func(t *testing.T) { devices(t, o) })

	t.Run("disruption budget", func(t *testing.T) {
		inside.Do(t, "create", "poddisruptionbudget", "db", "--selector=app=db", "--min-available=2")
		pod := host.Do(t, "get", "pods", "-n", ns, "-l", "garret.dev/cluster", "-o",
			`jsonpath={.items[?(@.metadata.annotations.garret\.dev/virtual-name=="db-0")].metadata.name}`)
		eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, ns)
		path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction?dryRun=All", ns, pod)
		framework.SucceedsWithin(t, 30*time.Second, "the host refuses to evict a pod of the budget", func(context.Context) error {
			out, err := host.Input(eviction).Try("create", "--raw", path, "-f", "-")
			if err == nil || !strings.Contains(out+err.Error(), "disruption budget") {
				return fmt.Errorf("got %q, %v", out, err)
			}
			return nil
		})
	})

	t.Run("cordon and drain", func(t *testing.T) {
		node := inside.Do(t, "get", "pod", "db-0", "-o", "jsonpath={.spec.nodeName}")
		drain := []string{"drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app=db"}
		if out, err := inside.Try(append(drain, "--timeout=4s")...); err == nil {
			t.Errorf("a drain that the budget forbids: got %q, want an error", out)
		}
		inside.Do(t, "delete", "poddisruptionbudget", "db")
		before := inside.Do(t, "get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].metadata.uid}")
		inside.Do(t, append(drain, "--timeout=60s")...)
		framework.SucceedsWithin(t, 60*time.Second, "the host's scheduler has no node for the new pods", func(context.Context) error {
			events, err := inside.Try("get", "events", "--field-selector=reason=FailedScheduling,involvedObject.name=db-0", "-o", "name")
			if err == nil && events == "" {
				err = errors.New("there is no event")
			}
			return err
		})
		waiting := inside.Do(t, "get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].metadata.uid}{.items[*].spec.nodeName}")
		for _, uid := range strings.Fields(before) {
			if strings.Contains(waiting, uid) {
				t.Errorf("pods after the drain: got %s, want none of %s", waiting, before)
			}
		}
		inside.Do(t, "uncordon", node)
		inside.Do(t, "rollout", "status", "statefulset/db", "--timeout=120s")
		if now := inside.Do(t, "get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].metadata.uid}"); now != waiting {
			t.Errorf("pods that waited for a node: got %s, want the same, %s, and no node before", now, waiting)
		}
	})

	t.Run("usage", func(t *testing.T) { usage(t, o) })
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// burning uses 60m of a CPU, which is six times what its autoscaler aims at.
const burning = `apiVersion: apps/v1
kind: Deployment
metadata: {name: burn}
spec:
  selector: {matchLabels: {app: burn}}
  template:
    metadata: {labels: {app: burn}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: docker.io/library/busybox:1.36
        command: [sh, -c, "while :; do :; done"]
        resources: {requests: {cpu: 20m, memory: 8Mi}, limits: {cpu: 60m, memory: 32Mi}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: burn}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: burn}
  minReplicas: 1
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
`

// measured is a line of kubectl top with CPU and memory of a pod.
var measured = regexp.MustCompile(`(?m)^(\S+) +(\d+)m +(\d+)Mi`)

// usage reads CPU and memory as users and autoscalers do. What burns was made before.
func usage(t *testing.T, o tenantOf) {
	inside := o.inside
	shared.Await(t, o.ns, "demo", "MetricsAvailable", "True", "HostMetrics")
	framework.SucceedsWithin(t, 90*time.Second, "kubectl top knows the pod that burns", func(context.Context) error {
		out, err := inside.Try("top", "pods", "--no-headers")
		for _, line := range measured.FindAllStringSubmatch(out, -1) {
			if strings.HasPrefix(line[1], "burn-") && len(line[2]) > 1 {
				return nil
			}
		}
		return fmt.Errorf("got %q, %v, want the CPU of burn", out, err)
	})
	node := inside.Do(t, "get", "pods", "-l", "app=burn", "-o", "jsonpath={.items[0].spec.nodeName}")
	if out := inside.Do(t, "top", "nodes", "--no-headers"); !strings.HasPrefix(out, node+" ") {
		t.Errorf("kubectl top nodes: got %q, want %s", out, node)
	}
	proxy := "/api/v1/nodes/" + node + "/proxy/"
	for path, want := range map[string]string{
		"stats/summary": `"usageNanoCores":`, "metrics/resource": `container_memory_working_set_bytes{container="app",namespace="default",pod="burn-`,
		"metrics/cadvisor": `cpu="total"`, "configz": `"clusterDomain":"cluster.local"`, "runningpods/": `"kind":"PodList"`, "metrics/probes": `probe_type="Readiness"`,
	} {
		if out := inside.Do(t, "get", "--raw", proxy+path); !strings.Contains(out, want) {
			t.Errorf("%s: got %s, want %s in it", path, out, want)
		}
	}
	framework.SucceedsWithin(t, 90*time.Second, "the autoscaler wants a second pod", func(context.Context) error {
		out, err := inside.Try("get", "hpa", "burn", "-o", "jsonpath={.status.desiredReplicas} {.status.conditions[*].message}")
		if err == nil && !strings.HasPrefix(out, "2 ") {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
	inside.Do(t, "delete", "hpa,deployment", "burn", "--wait=false")
}

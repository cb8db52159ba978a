// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

const onEachNode = `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: app, image: "registry.k8s.io/pause:3.10"}]
`

// granting finds the command by which an administrator grants the right.
var granting = regexp.MustCompile(`kubectl (create clusterrolebinding (\S+) \S+ \S+vc-demo)`)

// TestNodesOfTheHost shows one of two nodes of the host inside, and then both, to a tenant who
// works on them as on any, and asks for the other one.
func TestNodesOfTheHost(t *testing.T) {
	t.Parallel()
	host := shared.Admin()
	second := host.Do(t, "get", "nodes", "-o", `jsonpath={.items[?(@.spec.taints[*].key=="garret.dev/reserved")].metadata.name}`)
	first := strings.Fields(host.Do(t, "get", "nodes", "-o", `jsonpath={.items[*].metadata.name}`))[0]
	if second == "" || first == second {
		t.Fatalf("the suite asks for a reserved node, and the host has %q first and %q reserved", first, second)
	}
	ns := shared.Namespace(t, "e2e-host-nodes")
	label := func(node, value string) { host.Do(t, "label", "--overwrite", "node", node, "example.org/pool"+value) }
	label(second, "="+ns)
	t.Cleanup(func() { label(first, "-"); label(second, "-") })
	host.Apply(t, suite.Object(ns, "demo", `{syncer: {fromHost: {nodes: {enabled: true, selector: {matchLabels: {example.org/pool: `+ns+`}},
  labels: {shown: ["example.org/*"], added: {example.org/tier: gold}}}}, pods: {tolerations: [{key: garret.dev/reserved, operator: Exists}]}}}`))
	shared.Await(t, ns, "demo", "SyncerReady", "False", "MissingRights")
	told := granting.FindStringSubmatch(host.Do(t, "get", "vc", "demo", "-n", ns, "-o", `jsonpath={.status.conditions[?(@.type=="SyncerReady")].message}`))
	if told == nil {
		t.Fatal("the condition does not say how to grant the right")
	}
	host.Do(t, strings.Fields(told[1])...)
	t.Cleanup(func() { host.Do(t, "delete", "clusterrolebinding", told[2]) })
	host.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=180s")
	o := tenantOf{ns, shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")}
	inside := o.inside

	nodes := func(want ...string) {
		t.Helper()
		framework.SucceedsWithin(t, time.Minute, fmt.Sprintf("the nodes inside are %v, each with its agent", want), func(context.Context) error {
			names, err := inside.Try("get", "nodes", "-l", "example.org/tier=gold", "-o", "jsonpath={.items[*].metadata.name}")
			if err == nil && !slices.Equal(strings.Fields(names), want) {
				return fmt.Errorf("got nodes %s", names)
			}
			if err != nil {
				return err
			}
			on, err := inside.Try("get", "pods", "-l", "app=agent", "--field-selector=status.phase=Running", "--sort-by=.spec.nodeName", "-o", "jsonpath={.items[*].spec.nodeName}")
			if err == nil && !slices.Equal(strings.Fields(on), want) {
				err = fmt.Errorf("agents run on %q", on)
			}
			return err
		})
	}
	inside.Apply(t, onEachNode)
	nodes(second)
	address := []string{"get", "node", second, "-o", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address} {.status.nodeInfo.kubeletVersion} {.status.allocatable.cpu}`}
	if got, want := inside.Do(t, address...), host.Do(t, address...); got != want {
		t.Errorf("address, kubelet and processors: got %s, want the host's, %s", got, want)
	}

	t.Run("other nodes", func(t *testing.T) {
		inside.Do(t, "run", "named", "--image=registry.k8s.io/pause:3.10", "--restart=Never", `--overrides={"spec":{"nodeName":"`+first+`"}}`)
		inside.Do(t, "run", "tolerant", "--image=registry.k8s.io/pause:3.10", "--restart=Never",
			`--overrides={"spec":{"nodeSelector":{"kubernetes.io/hostname":"`+first+`"},"tolerations":[{"operator":"Exists"}]}}`)
		for pod, reason := range map[string]string{"named": "Forbidden", "tolerant": "FailedScheduling"} {
			awaitEvent(t, inside, pod, reason)
			if node := inside.Do(t, "get", "pod", pod, "-o", "jsonpath={.status.startTime}"); node != "" {
				t.Errorf("pod %s began at %s", pod, node)
			}
		}
		inside.Do(t, "delete", "pod", "named", "tolerant", "--grace-period=0", "--force")
	})
	label(first, "="+ns)
	nodes(first, second)

	t.Run("cordon, taint and drain", func(t *testing.T) {
		inside.Do(t, "taint", "node", first, "mine=yes:NoSchedule")
		inside.Do(t, "create", "deployment", "web", "--image=registry.k8s.io/pause:3.10", "--replicas=2")
		on := func(want string) {
			t.Helper()
			inside.Do(t, "rollout", "status", "deployment/web", "--timeout=90s")
			framework.SucceedsWithin(t, time.Minute, "the pods run on "+want, func(context.Context) error {
				got, err := inside.Try("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}")
				if err == nil && got != want+" "+want {
					err = fmt.Errorf("they run on %s", got)
				}
				return err
			})
		}
		on(second)
		inside.Do(t, "taint", "node", first, "mine-")
		inside.Do(t, "drain", second, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
		on(first)
		if got := host.Do(t, "get", "node", first, second, "-o", "jsonpath={.items[*].spec.unschedulable}{.items[*].spec.taints[?(@.key==\"mine\")].key}"); got != "" {
			t.Errorf("on the host: got %q, want nothing of it there", got)
		}
		inside.Do(t, "uncordon", second)
	})
	t.Run("debug", func(t *testing.T) { debugged(t, o, second) })
}

// awaitEvent waits until a pod has an Event for the reason, and returns what it says.
func awaitEvent(t *testing.T, inside framework.Client, pod, reason string) string {
	t.Helper()
	var message string
	framework.SucceedsWithin(t, time.Minute, "pod "+pod+" has an Event "+reason, func(context.Context) error {
		var err error
		message, err = inside.Try("get", "events", "--field-selector=reason="+reason+",involvedObject.name="+pod, "-o", "jsonpath={.items[*].message}")
		if err == nil && message == "" {
			err = errors.New("there is no event")
		}
		return err
	})
	return message
}

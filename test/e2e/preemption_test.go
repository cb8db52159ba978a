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

const (
	// slot is a resource that a node of the host has, seat one that only the node inside has.
	slot = "e2e.example.org/slot"
	seat = "e2e.example.org/seat"
	// rulesOfPriority give pods inside classes of the host.
	rulesOfPriority = `{priorityClasses: [{name: urgent, host: e2e-urgent}, {name: patient, host: e2e-patient}]}`

	prioritiesOfHost = `apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: e2e-urgent}
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: e2e-patient}
value: 10
`
)

// openPriorities has the host's administrator allow the classes that the rules name.
func openPriorities(t *testing.T) {
	t.Helper()
	host := shared.Admin()
	host.Apply(t, prioritiesOfHost)
	host.Do(t, "patch", "hostcluster", "local", "--type=merge", "-p", `{"spec":{"isolation":{"allowedPodRules":{"priorityClasses":["e2e-urgent","e2e-patient"]}}}}`)
}

// preemption fills a node twice, once with what the host has and once with what only the node
// inside has. Either way the more important pod runs, and the other one ends as preempted.
func preemption(t *testing.T, o tenantOf) {
	inside, host := o.inside, shared.Admin()
	node := inside.Do(t, "get", "pod", "db-0", "-o", "jsonpath={.spec.nodeName}")
	const have = `{"status":{"capacity":{%q:%s},"allocatable":{%q:%s}}}`
	give := func(to framework.Client, name, amount string) {
		to.Do(t, "patch", "node", node, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(have, name, amount, name, amount))
	}
	give(host, slot, `"1"`)
	t.Cleanup(func() { give(host, slot, "null") })
	framework.SucceedsWithin(t, 60*time.Second, "the status tells what the host has", func(context.Context) error {
		told := host.Do(t, "get", "virtualcluster", "demo", "-n", o.ns, "-o", "jsonpath={.status.hostNodes.resources}")
		if !strings.Contains(told, slot) {
			return fmt.Errorf("got %q", told)
		}
		return nil
	})
	// Somebody inside claims that there is plenty of both.
	give(inside, slot, `"100"`)
	give(inside, seat, `"1"`)
	inside.Apply(t, strings.NewReplacer("e2e-", "").Replace(prioritiesOfHost))
	for _, resource := range []string{slot, seat} {
		t.Run(resource, func(t *testing.T) { preempts(t, inside, resource) })
	}
	if has := inside.Do(t, "get", "node", node, "-o", "jsonpath={.status.allocatable}"); strings.Contains(has, slot) || !strings.Contains(has, seat) {
		t.Errorf("the node inside has %s, want %s among it and not %s", has, seat, slot)
	}
}

// preempts has two pods want all there is of a resource, the less important one first.
func preempts(t *testing.T, inside framework.Client, resource string) {
	_, short, _ := strings.Cut(resource, "/")
	pod := func(class string) string {
		// The finalizer keeps it to be looked at.
		inside.Apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %[1]s-%[2]s, finalizers: [e2e.example.org/seen]}
spec:
  priorityClassName: %[1]s
  terminationGracePeriodSeconds: 1
  containers: [{name: app, image: "docker.io/library/busybox:1.36", command: [sleep, "3600"], resources: {limits: {%[3]s: 1}}}]
`, class, short, resource))
		return class + "-" + short
	}
	patient := pod("patient")
	inside.Do(t, "wait", "--for=condition=Ready", "pod/"+patient, "--timeout=60s")
	urgent := pod("urgent")
	t.Cleanup(func() {
		for _, name := range []string{patient, urgent} {
			inside.Do(t, "patch", "pod", name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		}
		inside.Do(t, "delete", "pod", patient, urgent, "--ignore-not-found", "--now")
	})
	inside.Do(t, "wait", "--for=condition=Ready", "pod/"+urgent, "--timeout=60s")
	ended := inside.Do(t, "get", "pod", patient, "-o", `jsonpath={.metadata.deletionTimestamp} {.status.conditions[?(@.type=="DisruptionTarget")].reason}`)
	if when, why, _ := strings.Cut(ended, " "); when == "" || why != "PreemptionByScheduler" {
		t.Errorf("the less important pod: got deletion %q because of %q, want that it was preempted", when, why)
	}
}

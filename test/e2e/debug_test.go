// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

const (
	agnhost = "registry.k8s.io/e2e-test-images/agnhost:2.53"
	pause   = "registry.k8s.io/pause:3.10"

	patient = `apiVersion: v1
kind: Pod
metadata: {name: patient, labels: {app: patient}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: app, image: "` + agnhost + `", args: [netexec, --http-port=8080]}]
`
)

// debuggerOf finds the pod that kubectl made.
var debuggerOf = regexp.MustCompile(`node-debugger-[a-z0-9-]+`)

// debugged has kubectl debug copy a pod in each of its forms, and look at a node: the level of
// Pod Security decides about that.
func debugged(t *testing.T, o tenantOf, node string) {
	inside, host := o.inside, shared.Admin()
	inside.Apply(t, patient)
	running := func(t *testing.T, pod string) {
		t.Helper()
		inside.Do(t, "wait", "--for=condition=Ready", "pod/"+pod, "--timeout=90s")
	}
	running(t, "patient")

	t.Run("copy with its processes", func(t *testing.T) {
		inside.Do(t, "debug", "patient", "--copy-to=shared", "--share-processes", "--profile=baseline", "--image="+agnhost, "--container=look", "--", "sleep", "3600")
		running(t, "shared")
		if out := inside.Do(t, "exec", "shared", "-c", "look", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"); !strings.Contains(out, "netexec") {
			t.Errorf("processes: got %q, want those of the container app among them", out)
		}
	})
	t.Run("copy with a capability", func(t *testing.T) {
		// It is what kubectl asks for by itself.
		inside.Do(t, "debug", "patient", "--copy-to=tracing", "--image="+agnhost, "--profile=general", "--", "sleep", "3600")
		if message := awaitEvent(t, inside, "tracing", "Forbidden"); !strings.Contains(message, "SYS_PTRACE") {
			t.Errorf("got %q, want the capability in it", message)
		}
	})
	t.Run("copy with another image", func(t *testing.T) {
		inside.Do(t, "debug", "patient", "--copy-to=changed", "--profile=baseline", "--set-image=app="+pause, "--keep-labels")
		framework.SucceedsWithin(t, time.Minute, "the copy is there with its image and labels", func(context.Context) error {
			got, err := inside.Try("get", "pod", "changed", "-o", "jsonpath={.spec.containers[0].image} {.metadata.labels.app} {.status.containerStatuses[0].imageID}")
			if err == nil && (!strings.HasPrefix(got, pause+" patient ") || strings.HasSuffix(got, " ")) {
				err = fmt.Errorf("got %q", got)
			}
			return err
		})
	})
	t.Run("copy with another command, on the same node", func(t *testing.T) {
		inside.Do(t, "debug", "patient", "--copy-to=idle", "--profile=baseline", "--same-node", "--container=app", "--", "sleep", "3600")
		running(t, "idle")
		where := []string{"get", "pods", "patient", "idle", "-o", "jsonpath={.items[*].spec.nodeName}"}
		if on := strings.Fields(inside.Do(t, where...)); len(on) != 2 || on[0] != on[1] {
			t.Errorf("they run on %v, want one node", on)
		}
	})
	t.Run("copy in the place of the pod", func(t *testing.T) {
		inside.Do(t, "debug", "patient", "--copy-to=instead", "--profile=baseline", "--replace", "--set-image=*="+agnhost)
		running(t, "instead")
		inside.Do(t, "wait", "--for=delete", "pod/patient", "--timeout=60s")
	})

	look := func(t *testing.T) string {
		t.Helper()
		out := inside.Do(t, "debug", "node/"+node, "--image="+agnhost, "--profile=general", "--", "sh", "-c", "test -d /host/proc/1 && echo seen")
		name := debuggerOf.FindString(out)
		if name == "" {
			t.Fatalf("got %q, want the name of a pod in it", out)
		}
		return name
	}
	t.Run("node, forbidden", func(t *testing.T) {
		name := look(t)
		message := awaitEvent(t, inside, name, "Forbidden")
		for _, want := range []string{"hostPID=true", "hostPath volumes", "spec.isolation.podSecurity of VirtualCluster " + o.ns + "/demo"} {
			if !strings.Contains(message, want) {
				t.Errorf("got %q, want %q in it", message, want)
			}
		}
		inside.Do(t, "delete", "pod", name, "--grace-period=0", "--force")
	})
	t.Run("node", func(t *testing.T) {
		host.Do(t, "patch", "vc", "demo", "-n", o.ns, "--type=merge", "-p", `{"spec":{"isolation":{"podSecurity":"privileged"}}}`)
		name := look(t)
		framework.SucceedsWithin(t, 90*time.Second, "the debugger has seen the node's files", func(context.Context) error {
			out, err := inside.Try("logs", name)
			if err == nil && out != "seen\n" {
				err = errors.New(out)
			}
			return err
		})
		if on := inside.Do(t, "get", "pod", name, "-o", "jsonpath={.spec.nodeName}"); on != node {
			t.Errorf("it ran on %s, want %s", on, node)
		}
	})
}

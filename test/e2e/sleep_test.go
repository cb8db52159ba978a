// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"garret.dev/garret/test/framework"
)

// TestSleep puts a virtual cluster to sleep and wakes it, as its owner does. Its pod has the
// time to write down that it ends, and the host's quota is free while nothing runs.
func TestSleep(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-sleep")
	admin.Do(t, "create", "quota", "room", "--hard=pods=10", "-n", ns)
	shared.VirtualCluster(t, ns, "demo")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Apply(t, manifest(t, "sleeper.yaml"))
	inside.Do(t, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=90s")
	const identity = "jsonpath={.metadata.uid} {.spec.nodeName}"
	before := inside.Do(t, "get", "pod", "sleeper", "-o", identity)
	address := inside.Do(t, "get", "service", "sleeper", "-o", "jsonpath={.spec.clusterIP}")

	admin.Garret(t, "sleep", "demo", "-n", ns)
	if left := admin.Do(t, "get", "pods", "-n", ns, "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("asleep, there are on the host: %s", left)
	}
	framework.Succeeds(t, "the host's quota is free", func(context.Context) error {
		used, err := admin.Try("get", "quota", "room", "-n", ns, "-o", "jsonpath={.status.used.pods}")
		if err == nil && used != "0" {
			err = fmt.Errorf("%s pods count", used)
		}
		return err
	})
	inside.Refused(t, "garret wake demo", "get", "pods")
	if got := admin.Do(t, "get", "vc", "demo", "-n", ns); !strings.Contains(got, "Sleeping") {
		t.Errorf("want the phase Sleeping: %s", got)
	}

	admin.Garret(t, "wake", "demo", "-n", ns)
	framework.Succeeds(t, "the pod runs again", func(context.Context) error {
		diary, err := inside.Try("exec", "sleeper", "--", "cat", "/data/diary")
		if got := strings.Join(strings.Fields(diary), " "); err == nil && got != "awake asleep awake" {
			err = fmt.Errorf("its diary says %q", got)
		}
		return err
	})
	if after := inside.Do(t, "get", "pod", "sleeper", "-o", identity); after != before {
		t.Errorf("the pod was %s, and is %s", before, after)
	}
	if again := inside.Do(t, "get", "service", "sleeper", "-o", "jsonpath={.spec.clusterIP}"); again != address {
		t.Errorf("the Service had %s, and has %s", address, again)
	}
}

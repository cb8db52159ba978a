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
	"garret.dev/garret/test/suite"
)

// TestNested installs Garret inside a virtual cluster, and works in a virtual cluster there
// as in any: with names, exec, logs and a volume, on the one kubelet of the host.
func TestNested(t *testing.T) {
	t.Parallel()
	ns := shared.Namespace(t, "e2e-nested")
	runTenant(t, ns, "{}")
	// With a kubeconfig of garret use, garret would work on the host.
	outer := shared.StandAlone(t, ns, "demo")
	outer.Garret(t, "install")
	outer.Apply(t, suite.Object("default", "inner", "{}"))
	outer.Do(t, "wait", "--for=condition=Ready", "vc/inner", "--timeout=180s")
	inner := tenantOf{"default", shared.ThroughRelay(t, outer.Kubeconfig, "default", "inner")}

	inner.store(t, "data")
	if got := inner.inside.Do(t, "exec", "data", "--", "cat", "/data/file"); got != "bytes of data\n" {
		t.Errorf("on the volume: got %q, want what was written there", got)
	}
	address := inner.inside.Do(t, "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
	framework.SucceedsWithin(t, 60*time.Second, "the API server of the inner one has a name there", func(context.Context) error {
		out, err := inner.inside.Try("exec", "data", "--", "nslookup", "kubernetes.default.svc.cluster.local")
		if err == nil && !strings.Contains(out, address) {
			err = fmt.Errorf("got %q, want %s", out, address)
		}
		return err
	})
	if nodes := inner.inside.Do(t, "get", "nodes", "-o", "name"); nodes == "" {
		t.Error("there is no node in the inner one")
	}
}

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

// TestQuota bounds a virtual cluster that runs, on the host alone: the bound applies at
// once, status.quota tells what is used, and what did not fit comes when it is raised.
func TestQuota(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-quota")
	shared.VirtualCluster(t, ns, "demo")
	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	bound := func(size string) {
		t.Helper()
		admin.Do(t, "patch", "vc", "demo", "-n", ns, "--type=merge", "-p", `{"spec":{"isolation":{"quota":{"hard":{"requests.ephemeral-storage":"`+size+`"}}}}}`)
	}
	used := func(want string) {
		t.Helper()
		framework.Succeeds(t, "the status tells what is used", func(context.Context) error {
			got, err := admin.Try("get", "vc", "demo", "-n", ns, "-o", `jsonpath={.status.quota.used.requests\.ephemeral-storage}/{.status.quota.hard.requests\.ephemeral-storage}`)
			if err == nil && got != want {
				err = fmt.Errorf("got %s, want %s", got, want)
			}
			return err
		})
	}
	running := func(want int) {
		t.Helper()
		framework.Succeeds(t, fmt.Sprint(want, " pods run"), func(context.Context) error {
			out, err := inside.Try("get", "pods", "-l", "app=stored", "--field-selector=status.phase=Running", "-o", "name")
			if got := len(strings.Fields(out)); err == nil && got != want {
				err = fmt.Errorf("got %d", got)
			}
			return err
		})
	}
	bound("2Mi")
	used("0/2Mi")
	inside.Apply(t, manifest(t, "stored.yaml"))
	running(2)
	used("2Mi/2Mi")
	framework.Succeeds(t, "the others are told", func(context.Context) error {
		out, err := inside.Try("get", "events", "--field-selector=reason=QuotaExceeded", "-o", "jsonpath={.items[0].message}")
		if want := "the owner of the VirtualCluster " + ns + "/demo can raise spec.isolation.quota.hard[requests.ephemeral-storage]"; err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("got %q, want %q in it", out, want)
		}
		return err
	})
	bound("4Mi")
	running(4)
	used("4Mi/4Mi")
}

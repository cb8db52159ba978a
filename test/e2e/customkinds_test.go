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
	"garret.dev/garret/test/suite"
)

// gauges is the ClusterRole by which an administrator of the host opens the kind.
const gauges = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-gauges, labels: {tenancy.garret.dev/aggregate-to-custom-kinds: "true"}}
rules: [{apiGroups: [e2e.example.org], resources: [gauges], verbs: [get, list, watch, create, update, patch, delete]}]
`

// TestCustomKinds has a kind of the host go there by a rule: from what its creator may do and
// what the administrator opens, to objects, their status, and nothing left at the end.
func TestCustomKinds(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns, other := shared.Namespace(t, "e2e-kinds"), shared.Namespace(t, "e2e-kinds-other")
	admin.Apply(t, manifest(t, "gauges.yaml"))
	t.Cleanup(func() {
		_, _ = admin.Try("delete", "--ignore-not-found", "crd/gauges.e2e.example.org", "clusterrole/e2e-gauges")
	})
	admin.Established(t, "crd/gauges.e2e.example.org")
	admin.Apply(t, "apiVersion: e2e.example.org/v1\nkind: Gauge\nmetadata: {name: hosts, namespace: "+other+"}\nspec: {size: 5}\n")
	ruled := func(field string) string {
		return suite.Object(ns, "demo", `{syncer: {toHost: {custom: [{apiVersion: e2e.example.org/v1, resource: gauges, status: [status.phase], fields: [{path: `+field+`}, {path: spec.secretName, as: Name, of: secrets}]}]},
			fromHost: {custom: [{apiVersion: e2e.example.org/v1, resource: gauges, mappings: [{from: {namespace: `+other+`, name: hosts}, to: {namespace: default}}]}]}}}`)
	}
	refused := func(by framework.Client, field, want string) {
		t.Helper()
		if out, err := by.Input(ruled(field)).Output("apply", "-f", "-"); err == nil || !strings.Contains(out, want) {
			t.Errorf("got %v: %s, want %q in it", err, out, want)
		}
	}
	creator := shared.User(t, "gauger")
	admin.Do(t, "create", "rolebinding", "gauger", "--clusterrole=edit", "--user=gauger", "-n", ns)
	refused(creator, "spec.size", `cannot get gauges.e2e.example.org in the namespace "`+ns+`"`)
	refused(admin, "spec.sise", "no field sise")

	admin.Apply(t, ruled("spec.size"))
	shared.Await(t, ns, "demo", "CustomKindsAllowed", "False", "NotOpened")
	admin.Apply(t, gauges)
	shared.Await(t, ns, "demo", "CustomKindsAllowed", "True", "Allowed")
	shared.Await(t, ns, "demo", "CustomKindsSynced", "True", "Synced")
	admin.Do(t, "wait", "--for=condition=Ready", "virtualcluster/demo", "-n", ns, "--timeout=180s")

	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Do(t, "wait", "gauge/hosts", "--for=jsonpath={.spec.size}=5", "--timeout=60s")
	inside.Do(t, "create", "secret", "generic", "keys", "--from-literal=key=own")
	inside.Apply(t, "apiVersion: e2e.example.org/v1\nkind: Gauge\nmetadata: {name: one, namespace: default}\nspec: {size: 3, secretName: keys}\n")
	var name string
	framework.Succeeds(t, "the gauge is on the host, with its Secret", func(context.Context) error {
		out, err := admin.Try("get", "gauges", "-n", ns, "-o", "jsonpath={range .items[*]}{.metadata.name} {.spec.size} {.spec.secretName}{end}")
		parts := strings.Fields(out)
		if err != nil || len(parts) != 3 || parts[1] != "3" {
			return fmt.Errorf("got %q, %w", out, err)
		}
		name = parts[0]
		_, err = admin.Try("get", "secret", parts[2], "-n", ns)
		return err
	})
	admin.Do(t, "patch", "gauge", name, "-n", ns, "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Full"}}`)
	inside.Do(t, "wait", "gauge/one", "--for=jsonpath={.status.phase}=Full", "--timeout=60s")

	admin.Do(t, "patch", "vc", "demo", "-n", ns, "--type=merge", "-p", `{"spec":{"syncer":{"toHost":{"custom":null}}}}`)
	framework.Succeeds(t, "nothing of the kind is left on the host", func(context.Context) error {
		out, err := admin.Try("get", "gauges", "-n", ns, "-o", "name")
		if err == nil {
			var kinds string
			kinds, err = admin.Try("get", "vc", "demo", "-n", ns, "-o", "jsonpath={.status.customKinds}")
			out += kinds
		}
		if err == nil && strings.TrimSpace(out) != "" {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
	framework.Succeeds(t, "the gauge is inside, once the control plane is back", func(context.Context) error {
		_, err := inside.Try("get", "gauge", "one")
		return err
	})
}

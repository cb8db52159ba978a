// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"garret.dev/garret/test/framework"
)

// allowStorage has the administrator of the host allow some handles of the driver, and classes of it,
// to the virtual clusters of one namespace.
func allowStorage(t *testing.T, ns string) {
	t.Helper()
	admin := shared.Admin()
	admin.Do(t, "patch", "hostcluster/local", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"isolation":{"allowedStorage":{
"csi":[{"driver":"folders.garret.dev","volumeHandles":["e2e-own-*"],"snapshotHandles":["e2e-own-*"],"namespaces":[%[1]q]}],
"storageClasses":[{"provisioner":"folders.garret.dev","namespaces":[%[1]q]}]}}}}`, ns))
	t.Cleanup(func() {
		if _, err := admin.Try("patch", "hostcluster/local", "--type=merge", "-p", `{"spec":{"isolation":{"allowedStorage":null}}}`); err != nil {
			t.Error(err)
		}
	})
}

// ownStorage has a tenant's class provision a volume of the host, and a tenant's volume be mounted
// with what is in it. It takes a virtual cluster that carries both.
func ownStorage(t *testing.T, ns string, inside framework.Client) {
	t.Helper()
	admin := shared.Admin()
	folder := filepath.Join(filepath.Dir(shared.Kubeconfig), "snapshots", "volumes", "e2e-own-archive")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "file"), []byte("kept\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	inside.Apply(t, manifest(t, "storage-own.yaml"))
	inside.Do(t, "wait", "pod/own", "--for=condition=Ready", "--timeout=120s")
	if got := inside.Do(t, "exec", "own", "--", "cat", "/provisioned/file"); strings.TrimSpace(got) != "kept" {
		t.Errorf("copied from the tenant's volume to the provisioned one: got %q, want kept", got)
	}
	if got := inside.Do(t, "get", "pv/archive", "-o", "jsonpath={.status.phase} {.spec.claimRef.name}"); got != "Bound archive" {
		t.Errorf("got %q, want the volume bound inside", got)
	}
	const onHost = "jsonpath={range .items[*]}{.spec.csi.volumeHandle} {.spec.claimRef.namespace}{end}"
	mark := "garret.dev/cluster=" + admin.Do(t, "get", "virtualcluster/demo", "-n", ns, "-o", "jsonpath={.status.clusterID}")
	if got := admin.Do(t, "get", "pv", "-l", mark, "-o", onHost); got != "e2e-own-archive "+ns {
		t.Errorf("on the host: got %q, want the one volume, for a claim of the namespace", got)
	}
	framework.Succeeds(t, "a directory of the node is refused", func(context.Context) error {
		out, err := inside.Try("get", "events", "-A", "--field-selector=involvedObject.kind=PersistentVolume,involvedObject.name=of-the-node", "-o", "jsonpath={.items[*].message}")
		if err == nil && !strings.Contains(out, "spec.hostPath is refused") {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
	inside.Do(t, "delete", "pod/own", "pvc/provisioned", "pvc/archive", "storageclass/own", "--timeout=60s")
	inside.Do(t, "wait", "pv/archive", "--for=jsonpath={.status.phase}=Released", "--timeout=60s")
	inside.Do(t, "delete", "pv/archive", "pv/of-the-node", "--timeout=60s")
	framework.Succeeds(t, "nothing is left on the host", func(context.Context) error {
		out, err := admin.Try("get", "pv,storageclass", "-l", mark, "-o", "name")
		if err == nil && strings.TrimSpace(out) != "" {
			err = fmt.Errorf("got %s", out)
		}
		return err
	})
	if text, err := os.ReadFile(filepath.Join(folder, "file")); err != nil || string(text) != "kept\n" {
		t.Errorf("the data behind the volume: got %q and %v, want them kept", text, err)
	}
	// Its class is gone, and the driver ends with the test.
	framework.Succeeds(t, "the driver deletes what it has provisioned", func(context.Context) error {
		out, err := admin.Try("get", "pv", "-o", `jsonpath={range .items[?(@.spec.claimRef.namespace=="`+ns+`")]}{.spec.storageClassName} {.status.phase}{"\n"}{end}`)
		if err == nil && strings.Contains(out, "Released") {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
}

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
	"garret.dev/garret/test/suite"
)

// TestVolumeSnapshots has external-snapshotter's controllers take a snapshot of a volume inside: a pod
// inside reads from the copy what was written before, whatever has been written since. The driver also
// serves volumes and storage classes of the tenant.
func TestVolumeSnapshots(t *testing.T) {
	t.Parallel()
	if shared.Cluster == nil {
		t.Skip("these tests have a driver of their own serve a kubelet of this machine")
	}
	admin := shared.Admin()
	installSnapshots(t)
	ns := shared.Namespace(t, "e2e-snapshots")
	allowStorage(t, ns)
	admin.Apply(t, suite.Object(ns, "demo", "{syncer: {toHost: {volumeSnapshots: {enabled: true}, volumeSnapshotContents: {enabled: true}, persistentVolumes: {enabled: true}, storageClasses: {enabled: true}}}}"))
	shared.Await(t, ns, "demo", "CustomKindsAllowed", "True", "Allowed")
	shared.Await(t, ns, "demo", "CustomKindsSynced", "True", "Synced")
	admin.Do(t, "wait", "--for=condition=Ready", "virtualcluster/demo", "-n", ns, "--timeout=180s")

	inside := shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")
	inside.Apply(t, manifest(t, "snapshots-written.yaml"))
	inside.Do(t, "wait", "pod/writer", "--for=condition=Ready", "--timeout=120s")
	inside.Apply(t, "apiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshot\nmetadata: {name: before, namespace: default}\nspec: {source: {persistentVolumeClaimName: data}}\n")
	inside.Do(t, "wait", "volumesnapshot/before", "--for=jsonpath={.status.readyToUse}=true", "--timeout=60s")
	inside.Do(t, "wait", "volumesnapshot/before", "--for=jsonpath={.spec.volumeSnapshotClassName}=e2e-folders", "--timeout=60s")
	content := admin.Do(t, "get", "volumesnapshots", "-n", ns, "-o", "jsonpath={.items[0].status.boundVolumeSnapshotContentName}")
	// The content is named with the first sight of readyToUse, and names the snapshot inside.
	const shown = "{.spec.deletionPolicy} {.spec.driver} {.spec.volumeSnapshotRef.namespace}/{.spec.volumeSnapshotRef.name} {.status.readyToUse}"
	if got := inside.Do(t, "get", "volumesnapshotcontent", inside.Do(t, "get", "volumesnapshot/before", "-o", "jsonpath={.status.boundVolumeSnapshotContentName}"),
		"-o", "jsonpath="+shown); strings.TrimSpace(got) != "Delete folders.garret.dev default/before true" {
		t.Errorf("content inside: got %q", got)
	}

	kept := filepath.Join(filepath.Dir(shared.Kubeconfig), "snapshots", "snapshots", "e2e-own-snapshot")
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(kept, "file"), []byte("imported\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read := func(pod string) string {
		t.Helper()
		var found string
		framework.Succeeds(t, "the file of "+pod+" can be read", func(context.Context) error {
			out, err := inside.Try("exec", pod, "--", "cat", "/data/file")
			found = strings.TrimSpace(out)
			return err
		})
		return found
	}
	if was := read("writer"); was != "old" {
		t.Fatalf("written: got %q, want old", was)
	}
	inside.Do(t, "exec", "writer", "--", "sh", "-c", "echo new >/data/file")
	inside.Apply(t, manifest(t, "snapshots-restored.yaml"))
	inside.Do(t, "wait", "pod/reader", "--for=condition=Ready", "--timeout=120s")
	if restored, since := read("reader"), read("writer"); restored != "old" || since != "new" {
		t.Errorf("got %q in the copy and %q in the volume, want old and new", restored, since)
	}

	if got := inside.Do(t, "exec", "reader", "--", "cat", "/imported/file"); strings.TrimSpace(got) != "imported" {
		t.Errorf("restored from the tenant's own content: got %q, want imported", got)
	}
	const bound = "{.spec.volumeSnapshotRef.uid} {.status.readyToUse}"
	if got, want := inside.Do(t, "get", "volumesnapshotcontent/imported", "-o", "jsonpath="+bound), inside.Do(t, "get", "volumesnapshot/imported", "-o", "jsonpath={.metadata.uid} true"); got != want {
		t.Errorf("the tenant's own content: got %q, want %q", got, want)
	}

	// What the host has of others, by the name that it has there.
	inside.Apply(t, "apiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshot\nmetadata: {name: theirs, namespace: default}\nspec: {source: {volumeSnapshotContentName: "+content+"}}\n")
	framework.Succeeds(t, "the content is refused", func(context.Context) error {
		out, err := inside.Try("get", "events", "--field-selector=involvedObject.kind=VolumeSnapshot,involvedObject.name=theirs", "-o", "jsonpath={.items[*].message}")
		if err == nil && !strings.Contains(out, "spec.source.volumeSnapshotContentName") {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
	inside.Do(t, "delete", "volumesnapshot/imported", "volumesnapshotcontent/imported", "--timeout=60s")
	if left := admin.Do(t, "get", "volumesnapshotcontents", "-o", "jsonpath={.items[*].spec.source.snapshotHandle}"); strings.Contains(left, "e2e-own-snapshot") {
		t.Errorf("on the host after the deletion inside: got %s, want no content of the tenant", left)
	}
	if _, err := os.Stat(filepath.Join(kept, "file")); err != nil {
		t.Errorf("the data behind the content: got %v, want them kept", err)
	}
	inside.Do(t, "delete", "volumesnapshot/before", "--timeout=60s")
	if left := admin.Do(t, "get", "volumesnapshots", "-n", ns, "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("on the host after the deletion inside: got %s, want none", left)
	}
	inside.Do(t, "wait", "--for=delete", "volumesnapshotcontent/"+content, "--timeout=60s")
	if left := admin.Do(t, "get", "volumesnapshotcontent", "--ignore-not-found", content, "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("on the host after the deletion of the content inside: got %s, want none", left)
	}
	ownStorage(t, ns, inside)
}

// installSnapshots has the host take snapshots, until the test ends.
func installSnapshots(t *testing.T) {
	t.Helper()
	admin := shared.Admin()
	definitions, err := framework.Binary("snapshot-crds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(definitions)
	if err != nil {
		t.Fatal(err)
	}
	admin.Apply(t, string(text))
	t.Cleanup(func() {
		for _, manifest := range []string{manifest(t, "snapshots-host.yaml"), string(text)} {
			if out, err := admin.Input(manifest).Output("delete", "--ignore-not-found", "--timeout=60s", "-f", "-"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
	admin.Established(t, "crd/volumesnapshots.snapshot.storage.k8s.io", "crd/volumesnapshotclasses.snapshot.storage.k8s.io", "crd/volumesnapshotcontents.snapshot.storage.k8s.io")
	admin.Apply(t, manifest(t, "snapshots-host.yaml"))
	node := admin.Do(t, "get", "nodes", "-o", `jsonpath={.items[0].metadata.labels.kubernetes\.io/hostname}`)
	host := filepath.Dir(shared.Kubeconfig)
	folder := filepath.Join(host, strings.TrimPrefix(node, shared.Name+"-"), "kubelet")
	running, err := framework.Start(filepath.Join(host, "logs", "snapshotter"), "snapshotter", "--kubeconfig="+shared.Kubeconfig, "--dir="+filepath.Join(host, "snapshots"),
		"--node="+node, "--kubelet-dir="+folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Only the driver takes its finalizers off.
		for _, of := range []string{"persistentvolumes", "volumesnapshotcontents"} {
			err := framework.Poll(context.Background(), func(context.Context) (bool, error) {
				out, err := admin.Try("get", of, "-o", "jsonpath={.items[*].spec.storageClassName} {.items[*].spec.driver}")
				return !strings.Contains(out, "e2e-folders") && !strings.Contains(out, "folders.garret.dev"), err
			})
			if err != nil {
				t.Errorf("waiting until no %s of the driver are left: %v", of, err)
			}
		}
		_ = running.End(os.Interrupt)
	})
	framework.Succeeds(t, "the kubelet knows the driver", func(context.Context) error {
		out, err := admin.Try("get", "csinode", node, "-o", "jsonpath={.spec.drivers[*].name}")
		if err == nil && !strings.Contains(out, "folders.garret.dev") {
			err = fmt.Errorf("got %q", out)
		}
		return err
	})
}

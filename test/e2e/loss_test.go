// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/suite"
)

// tenantOf is a virtual cluster "demo" whose pods keep something on volumes.
type tenantOf struct {
	ns     string
	inside framework.Client
}

// runTenant makes the virtual cluster; spec is YAML in flow style.
func runTenant(t *testing.T, ns, spec string) tenantOf {
	t.Helper()
	admin := shared.Admin()
	admin.Apply(t, suite.Object(ns, "demo", spec))
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=180s")
	return tenantOf{ns, shared.ThroughRelay(t, shared.Kubeconfig, ns, "demo")}
}

// store makes a claim inside, and a pod that writes something on its volume and runs on.
func (o tenantOf) store(t *testing.T, claim string) {
	t.Helper()
	o.inside.Apply(t, fmt.Sprintf(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 16Mi}}
`, claim))
	o.run(t, claim, claim)
	// By hand: what the container did itself it would do again on an empty volume.
	framework.SucceedsWithin(t, 60*time.Second, "something is written on the volume of "+claim, func(context.Context) error {
		_, err := o.inside.Try("exec", claim, "--", "sh", "-c", "echo bytes of "+claim+" > /data/file && sync")
		return err
	})
}

// run makes a pod inside that has a claim's volume, and waits until it runs.
func (o tenantOf) run(t *testing.T, pod, claim string) {
	t.Helper()
	o.inside.Apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: "docker.io/library/busybox:1.36", command: [sleep, "3600"], volumeMounts: [{name: data, mountPath: /data}]}
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: %s}}
`, pod, claim))
	o.inside.Do(t, "wait", "--for=condition=Ready", "pod/"+pod, "--timeout=90s")
}

// reads wants a pod inside to find on its volume what was written for a claim.
func (o tenantOf) reads(t *testing.T, pod, claim string) {
	t.Helper()
	if got, want := o.inside.Do(t, "exec", pod, "--", "cat", "/data/file"), "bytes of "+claim+"\n"; got != want {
		t.Errorf("what pod %s has on its volume: got %q, want %q", pod, got, want)
	}
}

// onHost are the synced objects of a kind on the host by their names inside: what
// each is called there, its UID, and what else must not change.
func (o tenantOf) onHost(t *testing.T, kind string) map[string][]string {
	t.Helper()
	out := shared.Admin().Do(t, "get", kind, "-n", o.ns, "-l", "garret.dev/cluster", "-o",
		`jsonpath={range .items[*]}{.metadata.annotations.garret\.dev/virtual-name}{" "}{.metadata.name}{" "}{.metadata.uid}{" "}{.status.containerStatuses[*].restartCount}{.metadata.deletionTimestamp}{.spec.volumeName}{"\n"}{end}`)
	found := map[string][]string{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		found[fields[0]] = fields[1:]
	}
	return found
}

// unharmed wants pods and claims on the host to be those that they were.
func (o tenantOf) unharmed(t *testing.T, pods, claims map[string][]string) {
	t.Helper()
	for kind, before := range map[string]map[string][]string{"pods": pods, "pvc": claims} {
		now := o.onHost(t, kind)
		for name, was := range before {
			if !slices.Equal(now[name], was) {
				t.Errorf("%s %s on the host: got %q, want %q as before", kind, name, now[name], was)
			}
		}
	}
}

// recovers has garret bring what is kept back inside, and wants a new pod to find it.
func (o tenantOf) recovers(t *testing.T, claim string) {
	t.Helper()
	shared.Admin().Garret(t, "recover", "demo", "--namespace", o.ns, "--adopt", "--yes")
	o.inside.Do(t, "wait", "--for=jsonpath={.status.phase}=Bound", "pvc/"+claim, "--timeout=60s")
	o.run(t, "heir", claim)
	o.reads(t, "heir", claim)
	o.inside.Do(t, "delete", "pod", "heir", "--timeout=60s")
}

// TestNothingIsLost does to one virtual cluster on the host what workloads could
// lose their volumes by.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	o := runTenant(t, shared.Namespace(t, "e2e-loss"), "{}")
	o.store(t, "old")
	t.Run("Service, StatefulSet and release are deleted", func(t *testing.T) { withoutRelease(t, o) })
	t.Run("a claim is deleted", func(t *testing.T) { withoutHostClaim(t, o) })
	t.Run("the database is put back to an older copy", func(t *testing.T) { withOlderData(t, o) })
}

// withoutRelease has somebody delete what the virtual cluster runs by. Nothing of it
// may own what its workloads have.
func withoutRelease(t *testing.T, o tenantOf) {
	admin := shared.Admin()
	pods, claims := o.onHost(t, "pods"), o.onHost(t, "pvc")
	release := strings.Fields(admin.Do(t, "get", "secrets", "-n", o.ns, "-l", "owner=helm", "-o", "name"))
	// The release first: missing a part of it, the controller would make another revision.
	parts := append(release, "service/vc-demo", "statefulset.apps/vc-demo")
	uids := func() ([]string, error) {
		out, err := admin.Try(append([]string{"get", "-n", o.ns, "-o", "jsonpath={.items[*].metadata.uid}"}, parts...)...)
		return strings.Fields(out), err
	}
	before, err := uids()
	if err != nil || len(release) == 0 {
		t.Fatalf("what the virtual cluster runs by: got %q, %v; want a release, too", parts, err)
	}
	admin.Do(t, append([]string{"delete", "-n", o.ns}, parts...)...)
	framework.SucceedsWithin(t, 2*time.Minute, "all of it is there again", func(context.Context) error {
		now, err := uids()
		if err == nil && len(now) != len(before) {
			err = fmt.Errorf("got %q, want %d objects", now, len(before))
		}
		return err
	})
	admin.Do(t, "rollout", "status", "statefulset/vc-demo", "-n", o.ns, "--timeout=120s")
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", o.ns, "--timeout=120s")
	o.reads(t, "old", "old")
	o.unharmed(t, pods, claims)
}

// withoutHostClaim has the host's administrator delete a claim whose volume is kept,
// and make the volume available again.
func withoutHostClaim(t *testing.T, o tenantOf) {
	admin := shared.Admin()
	host := o.onHost(t, "pvc")["old"]
	name, volume := host[0], host[2]
	reclaim := func(policy string) {
		admin.Do(t, "patch", "pv", volume, "-p", fmt.Sprintf(`{"spec":{"persistentVolumeReclaimPolicy":%q}}`, policy))
	}
	reclaim("Retain")
	o.inside.Do(t, "delete", "pod", "old", "--timeout=60s")
	admin.Do(t, "delete", "pvc", name, "-n", o.ns, "--timeout=60s")
	o.inside.Do(t, "wait", "--for=jsonpath={.status.phase}=Lost", "pvc/old", "--timeout=60s")
	framework.SucceedsWithin(t, 30*time.Second, "an event tells of it", func(context.Context) error {
		out, err := o.inside.Try("get", "events", "--field-selector=involvedObject.name=old,reason=HostClaimLost", "-o", "jsonpath={.items[*].message}")
		if err == nil && !strings.Contains(out, volume) {
			err = fmt.Errorf("message: got %q, want volume %s named", out, volume)
		}
		return err
	})
	framework.SucceedsWithin(t, 30*time.Second, "the host lets go of the volume", func(context.Context) error {
		phase, err := admin.Try("get", "pv", volume, "-o", "jsonpath={.status.phase}")
		if err == nil && phase != "Released" {
			err = fmt.Errorf("phase: got %s", phase)
		}
		return err
	})
	admin.Do(t, "patch", "pv", volume, "--type=merge", "-p", `{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}`)
	o.inside.Do(t, "wait", "--for=jsonpath={.status.phase}=Bound", "pvc/old", "--timeout=60s")
	reclaim("Delete")
	o.run(t, "old", "old")
	o.reads(t, "old", "old")
}

// withOlderData puts the files of the control plane back to what they were before a
// claim was made.
func withOlderData(t *testing.T, o tenantOf) {
	admin := shared.Admin()
	containers := make([]string, 2)
	for i, name := range []string{"k3s", "syncer"} {
		var err error
		if containers[i], err = shared.ContainerID(o.ns, "statefulset.kubernetes.io/pod-name=vc-demo-0", name); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint := func() string {
		return admin.Do(t, "get", "configmap", "vc-demo-lineage", "-n", o.ns, "-o", "jsonpath={.data.checkpoint}")
	}
	folder := shared.VolumeFolder(t, o.ns, "data-vc-demo-0")
	older := suite.CopyFiles(t, containers[0], folder)
	was := checkpoint()
	o.store(t, "young")
	framework.SucceedsWithin(t, 30*time.Second, "the host's record follows what was made", func(context.Context) error {
		if checkpoint() == was {
			return errors.New("the checkpoint is that of before")
		}
		return nil
	})
	pods, claims := o.onHost(t, "pods"), o.onHost(t, "pvc")

	suite.PutFilesBack(t, folder, older, containers[:1]...)
	shared.Await(t, o.ns, "demo", "SyncerReady", "False", "DataOlder")
	shared.Await(t, o.ns, "demo", "HostDataOrphaned", "True", "MissingInside")
	o.unharmed(t, pods, claims)
	if got := admin.Do(t, "exec", "-n", o.ns, pods["young"][0], "--", "cat", "/data/file"); got != "bytes of young\n" {
		t.Errorf("what the younger pod has on its volume: got %q", got)
	}
	o.recovers(t, "young")
	o.reads(t, "old", "old")
	delete(pods, "young") // it is not inside
	o.unharmed(t, pods, claims)
}

// TestEphemeralControlPlane deletes the pod of a control plane that keeps nothing, as
// a drain does.
func TestEphemeralControlPlane(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	o := runTenant(t, shared.Namespace(t, "e2e-ephemeral"), "{controlPlane: {storage: {persistent: false}}}")
	o.store(t, "data")
	claims := o.onHost(t, "pvc")
	admin.Do(t, "delete", "pod", "vc-demo-0", "-n", o.ns, "--timeout=60s")
	shared.Await(t, o.ns, "demo", "HostDataOrphaned", "True", "MissingInside")
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", o.ns, "--timeout=120s")
	o.unharmed(t, nil, claims)
	if out := admin.Garret(t, "list", "--orphans", "--namespace", o.ns); !strings.Contains(out, claims["data"][0]) {
		t.Errorf("garret list --orphans: got\n%s, want claim %s in it", out, claims["data"][0])
	}
	o.recovers(t, "data")
	o.unharmed(t, nil, claims)
}

// TestFullVolume fills the volume of a control plane, and frees it.
func TestFullVolume(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	class, folder := shared.SmallVolume(t, "e2e-full", 96<<20)
	o := runTenant(t, shared.Namespace(t, "e2e-full"), "{controlPlane: {storage: {size: 96Mi, storageClassName: "+class+"}}}")
	free := suite.Fill(t, folder)
	shared.Await(t, o.ns, "demo", "ControlPlaneReady", "False", "VolumeFull")
	admin.Do(t, "wait", "--for=condition=Ready=False", "vc/demo", "pod/vc-demo-0", "-n", o.ns, "--timeout=60s")
	free()
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "pod/vc-demo-0", "-n", o.ns, "--timeout=120s")
	framework.SucceedsWithin(t, 30*time.Second, "something new can be made", func(context.Context) error {
		_, err := o.inside.Try("create", "configmap", "new")
		return err
	})
	if got := admin.Do(t, "get", "pod", "vc-demo-0", "-n", o.ns, "-o", "jsonpath={.status.containerStatuses[*].restartCount}"); got != "0 0" {
		t.Errorf("restarts of the pod: got %s, want none", got)
	}
}

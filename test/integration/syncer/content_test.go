// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

var snapshotContents = schema.GroupVersionResource{Group: tenancyv1.SnapshotGroup, Version: "v1", Resource: tenancyv1.ResourceSnapshotContents}

const secretOfContent = "snapshot.storage.kubernetes.io/deletion-secret-name"

// contentFor is a content of a snapshot, as the host's controller makes it.
func contentFor(name string, snapshot *unstructured.Unstructured, source fields) *unstructured.Unstructured {
	made := &unstructured.Unstructured{Object: fields{"apiVersion": snapshotContents.GroupVersion().String(), "kind": "VolumeSnapshotContent", "spec": fields{
		"driver": "disks.example.org", "deletionPolicy": "Delete", "source": source, "sourceVolumeMode": "Filesystem", "volumeSnapshotClassName": "of-the-host",
		"volumeSnapshotRef": fields{"apiVersion": snapshotContents.GroupVersion().String(), "kind": "VolumeSnapshot",
			"namespace": snapshot.GetNamespace(), "name": snapshot.GetName(), "uid": string(snapshot.GetUID())}}}}
	made.SetName(name)
	made.SetAnnotations(map[string]string{secretOfContent: "of-the-host"})
	return made
}

// TestSnapshotContents wants the contents of own snapshots inside, and attacks those of others. The
// test plays the host's controller.
func TestSnapshotContents(t *testing.T) {
	s := setUp(t)
	s.stop()
	s.snapshots, s.contents = true, true
	s.start()
	ctx := t.Context()
	onHost, inside := s.hostObjects.Resource(snapshotContents), s.virtualObjects.Resource(snapshotContents)
	each := newSubject(t, s, &kind{GroupVersionResource: snapshotsOfVolumes, kind: "VolumeSnapshot"})
	s.createClaim("data")
	s.bindOnHost("data", "pvc-"+string(uuid.NewUUID()))
	take := func(name string) (virtual, host *unstructured.Unstructured) {
		t.Helper()
		made, err := each.inside.Create(ctx, snapshotOf(name, fields{"source": fields{"persistentVolumeClaimName": "data"}}), metav1.CreateOptions{})
		s.must(err)
		return made, each.awaitHost(name, "is on the host", func(host *unstructured.Unstructured) bool {
			return host.GetAnnotations()[tenancyv1.AnnotationVirtualUID] == string(made.GetUID())
		})
	}
	// cut plays the host's controller: it makes the content, and binds the snapshot to it.
	cut := func(name string, snapshot, of *unstructured.Unstructured) {
		t.Helper()
		content, err := onHost.Create(ctx, contentFor(name, of, fields{"volumeHandle": "v-1"}), metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() {
			for _, side := range []interface {
				Delete(context.Context, string, metav1.DeleteOptions, ...string) error
			}{onHost, inside} {
				if err := side.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
					t.Error(err)
				}
			}
		})
		content.Object["status"] = fields{"snapshotHandle": "s-1", "readyToUse": true, "restoreSize": int64(1 << 30), "error": fields{"message": "snapshot " + snapshot.GetName() + " was busy"}}
		_, err = onHost.UpdateStatus(ctx, content, metav1.UpdateOptions{})
		s.must(err)
		snapshot.Object["status"] = fields{"boundVolumeSnapshotContentName": name, "readyToUse": true}
		_, err = each.onHost.UpdateStatus(ctx, snapshot, metav1.UpdateOptions{})
		s.must(err)
	}
	bound := func(name string) string {
		found, err := each.inside.Get(ctx, name, metav1.GetOptions{})
		s.must(err)
		content, _, _ := unstructured.NestedString(found.Object, "status", "boundVolumeSnapshotContentName")
		return content
	}
	ready := func(name string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			found, err := each.inside.Get(ctx, name, metav1.GetOptions{})
			ready, _, _ := unstructured.NestedBool(found.Object, "status", "readyToUse")
			return ready, err
		}
	}

	one, host := take("one")
	own := "snapcontent-" + string(host.GetUID())
	cut(own, host, host)
	framework.Eventually(t, "the snapshot is ready inside", ready("one"))
	if got := bound("one"); got != own {
		t.Fatalf("a snapshot that is ready: got the content %q, want %q already", got, own)
	}
	var content *unstructured.Unstructured
	framework.Eventually(t, "the content is inside, with its status", func(ctx context.Context) (bool, error) {
		var err error
		content, err = inside.Get(ctx, own, metav1.GetOptions{})
		return err == nil && content.Object["status"] != nil, err
	})
	spec, _ := content.Object["spec"].(fields)
	ref, _ := spec["volumeSnapshotRef"].(fields)
	if ref["namespace"] != s.namespace || ref["name"] != "one" || ref["uid"] != string(one.GetUID()) {
		t.Errorf("volumeSnapshotRef: got %v, want the snapshot inside", ref)
	}
	source, _ := spec["source"].(fields)
	if spec["driver"] != "disks.example.org" || spec["deletionPolicy"] != "Delete" || source["volumeHandle"] != "v-1" || spec["sourceVolumeMode"] != "Filesystem" || spec["volumeSnapshotClassName"] != nil {
		t.Errorf("got %v, want the host's, without a class that is not shown", spec)
	}
	status, _ := content.Object["status"].(fields)
	said, _ := status["error"].(fields)
	if status["snapshotHandle"] != "s-1" || status["readyToUse"] != true || status["restoreSize"] != int64(1<<30) || said["message"] != "snapshot one was busy" {
		t.Errorf("got the status %v, want the host's with the names inside", status)
	}
	if annotations := content.GetAnnotations(); len(annotations) > 1 || annotations["garret.dev/shown-as"] == "" {
		t.Errorf("got the annotations %v, want none of the host: they name Secrets", annotations)
	}
	s.shownExplained(snapshotContents, own)

	// What a tenant changes is reverted, and what a tenant deletes comes back.
	_, err := inside.Patch(ctx, own, types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Retain"}}`), metav1.PatchOptions{})
	s.must(err)
	back := func(ctx context.Context) (bool, error) {
		found, err := inside.Get(ctx, own, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		policy, _, _ := unstructured.NestedString(found.Object, "spec", "deletionPolicy")
		return err == nil && policy == "Delete" && found.Object["status"] != nil, err
	}
	framework.Eventually(t, "the policy is the host's again", back)
	s.must(inside.Delete(ctx, own, metav1.DeleteOptions{}))
	framework.Eventually(t, "the content is back", back)

	// A content of another snapshot is not shown, even if a snapshot of ours is said to be bound to it.
	_, second := take("two")
	foreign := second.DeepCopy()
	foreign.SetUID(uuid.NewUUID())
	theirs := "snapcontent-" + string(foreign.GetUID())
	cut(theirs, second, foreign)
	framework.Eventually(t, "the other snapshot is ready inside", ready("two"))
	if got := bound("two"); got != "" {
		t.Errorf("bound to a content of another snapshot: got %q, want none named", got)
	}
	if _, err := inside.Get(ctx, theirs, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the content of another snapshot: got %v, want none inside", err)
	}
	// The mark inside opens none, and tells nothing of it.
	claimed := contentFor(theirs, &unstructured.Unstructured{Object: fields{"metadata": fields{"namespace": s.namespace, "name": "two"}}}, fields{"snapshotHandle": "guessed"})
	claimed.SetLabels(map[string]string{tenancyv1.LabelCluster: s.translator.Cluster().ID})
	claimed.SetAnnotations(map[string]string{"garret.dev/shown-as": "/" + theirs})
	unstructured.RemoveNestedField(claimed.Object, "spec", "volumeSnapshotRef", "uid")
	claimed.Object["spec"].(fields)["volumeSnapshotRef"].(fields)["name"] = "three"
	_, err = inside.Create(ctx, claimed, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "a content with the syncer's mark is deleted", func(ctx context.Context) (bool, error) {
		_, err := inside.Get(ctx, theirs, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	// A copy of a shown one under another name is the tenant's.
	copied := content.DeepCopy()
	copied.SetName(s.namespace + "-copy")
	copied.SetResourceVersion("")
	_, err = inside.Create(ctx, copied, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() { s.must(inside.Delete(context.Background(), copied.GetName(), metav1.DeleteOptions{})) })
	claimed.SetLabels(nil)
	claimed.SetAnnotations(nil)
	_, err = inside.Create(ctx, claimed, metav1.CreateOptions{})
	s.must(err)

	// No snapshot gets the data of a content that is shown, or that the host has.
	for name, of := range map[string]string{"again": own, "stolen": theirs} {
		made, err := each.inside.Create(ctx, snapshotOf(name, fields{"source": fields{"volumeSnapshotContentName": of}}), metav1.CreateOptions{})
		s.must(err)
		if message := each.awaitEvent(made.GetUID(), "Forbidden"); !strings.Contains(message, "volumeSnapshotContentName") {
			t.Errorf("%s: got %q, want the field in it", name, message)
		}
	}
	if left, err := inside.Get(ctx, theirs, metav1.GetOptions{}); err != nil || left.Object["status"] != nil {
		t.Errorf("a tenant's own content of that name: got %v, %v, want it as it was", left, err)
	}

	if _, err := inside.Get(ctx, copied.GetName(), metav1.GetOptions{}); err != nil {
		t.Errorf("a copy of the content: got %v, want it kept", err)
	}

	// The content goes with the host's, after the snapshot.
	s.must(each.inside.Delete(ctx, "one", metav1.DeleteOptions{}))
	framework.Eventually(t, "the snapshot is gone on both sides", func(ctx context.Context) (bool, error) {
		_, virtual := each.inside.Get(ctx, "one", metav1.GetOptions{})
		_, host := each.onHost.Get(ctx, each.hostName("one"), metav1.GetOptions{})
		return apierrors.IsNotFound(virtual) && apierrors.IsNotFound(host), nil
	})
	if _, err := inside.Get(ctx, own, metav1.GetOptions{}); err != nil {
		t.Errorf("while the host has the content: got %v, want it inside", err)
	}
	s.must(onHost.Delete(ctx, own, metav1.DeleteOptions{}))
	framework.Eventually(t, "the content is gone inside", func(ctx context.Context) (bool, error) {
		_, err := inside.Get(ctx, own, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

var (
	snapshotsOfVolumes = schema.GroupVersionResource{Group: tenancyv1.SnapshotGroup, Version: "v1", Resource: tenancyv1.ResourceSnapshots}
	snapshotClasses    = schema.GroupVersionResource{Group: tenancyv1.SnapshotGroup, Version: "v1", Resource: tenancyv1.ResourceSnapshotClasses}
)

// serveSnapshots makes the definitions of external-snapshotter on the host, out of its Go module.
func serveSnapshots(ctx context.Context, host *framework.ControlPlane) error {
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/kubernetes-csi/external-snapshotter/client/v8")
	download.Dir, download.Env = filepath.Join("..", "..", "snapshotter"), append(os.Environ(), "GOWORK=off")
	out, err := download.Output()
	if err != nil {
		return fmt.Errorf("module of external-snapshotter: %w: %s", err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("module of external-snapshotter: %w", err)
	}
	client, err := apiextensions.NewForConfig(host.Config)
	if err != nil {
		return err
	}
	for _, resource := range []string{snapshotsOfVolumes.Resource, snapshotClasses.Resource, snapshotContents.Resource} {
		text, err := os.ReadFile(filepath.Join(module.Dir, "config", "crd", tenancyv1.SnapshotGroup+"_"+resource+".yaml"))
		if err != nil {
			return err
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, definition); err != nil {
			return err
		}
		if _, err := client.CustomResourceDefinitions().Create(ctx, definition, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func snapshotOf(name string, spec fields) *unstructured.Unstructured {
	made := &unstructured.Unstructured{Object: fields{"apiVersion": snapshotsOfVolumes.GroupVersion().String(), "kind": "VolumeSnapshot", "spec": spec}}
	made.SetName(name)
	return made
}

// TestVolumeSnapshots takes snapshots of claims, restores from them, loses one inside, and attacks
// what the host has of others. The test plays the host's controller.
func TestVolumeSnapshots(t *testing.T) {
	s := setUp(t)
	s.stop()
	// Classes belong to no namespace: the test has its own.
	shown, hidden := "shown-"+s.namespace, "hidden-"+s.namespace
	s.snapshots, s.selectors = true, map[string]string{tenancyv1.ResourceSnapshotClasses: "test=" + shown}
	s.start()
	ctx := t.Context()
	classes := s.hostObjects.Resource(snapshotClasses)
	for _, name := range []string{shown, hidden} {
		class := &unstructured.Unstructured{Object: fields{"apiVersion": snapshotClasses.GroupVersion().String(), "kind": "VolumeSnapshotClass",
			"driver": "disks.example.org", "deletionPolicy": "Delete", "parameters": fields{"secret": "of-the-host"}}}
		class.SetName(name)
		class.SetLabels(map[string]string{"test": name})
		class.SetAnnotations(map[string]string{"snapshot.storage.kubernetes.io/is-default-class": "true"})
		_, err := classes.Create(ctx, class, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() { s.must(classes.Delete(context.Background(), name, metav1.DeleteOptions{})) })
	}
	framework.Eventually(t, "the class is inside, without its parameters", func(ctx context.Context) (bool, error) {
		found, err := s.virtualObjects.Resource(snapshotClasses).Get(ctx, shown, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && found.Object["driver"] == "disks.example.org" && found.Object["deletionPolicy"] == "Delete" && found.Object["parameters"] == nil &&
			found.GetAnnotations()["snapshot.storage.kubernetes.io/is-default-class"] == "true", err
	})
	s.shownExplained(snapshotClasses, shown)
	if _, err := s.virtualObjects.Resource(snapshotClasses).Get(ctx, hidden, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the class that no selector matches: got %v, want none inside", err)
	}

	each := newSubject(t, s, &kind{GroupVersionResource: snapshotsOfVolumes, kind: "VolumeSnapshot"})
	take := func(name string, spec fields) *unstructured.Unstructured {
		t.Helper()
		made, err := each.inside.Create(ctx, snapshotOf(name, spec), metav1.CreateOptions{})
		s.must(err)
		return made
	}
	twin := func(name string, of types.UID) *unstructured.Unstructured {
		t.Helper()
		return each.awaitHost(name, "is on the host", func(host *unstructured.Unstructured) bool {
			return host.GetAnnotations()[tenancyv1.AnnotationVirtualUID] == string(of)
		})
	}
	s.createClaim("data")
	s.bindOnHost("data", "pvc-"+string(uuid.NewUUID()))
	of := fields{"persistentVolumeClaimName": "data"}
	one := take("one", fields{"source": of, "volumeSnapshotClassName": shown})
	host := twin("one", one.GetUID())
	if claim, _, _ := unstructured.NestedString(host.Object, "spec", "source", "persistentVolumeClaimName"); claim != s.translator.HostName(s.namespace, "data") {
		t.Errorf("source on the host: got %q, want the host's claim", claim)
	}

	content := "snapcontent-" + string(host.GetUID())
	host.Object["status"] = fields{"boundVolumeSnapshotContentName": content, "readyToUse": true, "restoreSize": "1Gi", "creationTime": "2026-01-02T03:04:05Z",
		"error": fields{"message": "claim " + s.translator.HostName(s.namespace, "data") + " of " + content + " was busy"}}
	_, err := each.onHost.UpdateStatus(ctx, host, metav1.UpdateOptions{})
	s.must(err)
	framework.Eventually(t, "the status is inside, in the names of there", func(ctx context.Context) (bool, error) {
		found, err := each.inside.Get(ctx, "one", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		status, _ := found.Object["status"].(fields)
		said, _ := status["error"].(fields)
		return status["readyToUse"] == true && status["restoreSize"] == "1Gi" && status["creationTime"] != nil && status["boundVolumeSnapshotContentName"] == nil &&
			said["message"] == "claim data of snapcontent-"+string(one.GetUID())+" was busy", nil
	})
	each.tellsTheTruth("one")

	// The host chooses a class, which is not taken away, and is named inside where it is shown.
	two := take("two", fields{"source": of})
	twin("two", two.GetUID())
	each.patch(each.onHost, each.hostName("two"), shown, "spec", "volumeSnapshotClassName")
	framework.Eventually(t, "the class that the host chose is named inside", func(ctx context.Context) (bool, error) {
		found, err := each.inside.Get(ctx, "two", metav1.GetOptions{})
		class, _, _ := unstructured.NestedString(found.Object, "spec", "volumeSnapshotClassName")
		return class == shown, err
	})

	// What belongs to others is not reached.
	refused := func(name, told string, spec fields) {
		t.Helper()
		made := take(name, spec)
		if message := each.awaitEvent(made.GetUID(), "Forbidden"); !strings.Contains(message, told) {
			t.Errorf("%s: got %q, want %q in it", name, message, told)
		}
		if _, err := each.onHost.Get(ctx, each.hostName(name), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s on the host: got %v, want nothing", name, err)
		}
	}
	refused("content", "volumeSnapshotContentName", fields{"source": fields{"volumeSnapshotContentName": content}})
	refused("class", hidden, fields{"source": of, "volumeSnapshotClassName": hidden})
	each.patch(each.inside, "two", hidden, "spec", "volumeSnapshotClassName")
	each.awaitEvent(two.GetUID(), "Forbidden")
	if class, _, _ := unstructured.NestedString(twin("two", two.GetUID()).Object, "spec", "volumeSnapshotClassName"); class != shown {
		t.Errorf("a class changed inside: got %q on the host, want %q still", class, shown)
	}

	// A claim is restored from a snapshot, and from a claim.
	restore := func(name string, source corev1.TypedLocalObjectReference) *corev1.PersistentVolumeClaim {
		t.Helper()
		spec := claimSpec()
		spec.DataSource = &source
		made, err := s.virtual.CoreV1().PersistentVolumeClaims(s.namespace).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		s.must(err)
		return made
	}
	ofSnapshot := func(name string) corev1.TypedLocalObjectReference {
		return corev1.TypedLocalObjectReference{APIGroup: ptr.To(tenancyv1.SnapshotGroup), Kind: "VolumeSnapshot", Name: name}
	}
	for name, source := range map[string]corev1.TypedLocalObjectReference{"restored": ofSnapshot("one"), "copied": {Kind: "PersistentVolumeClaim", Name: "data"}} {
		restore(name, source)
		claim := s.awaitHostClaim(name, func(*corev1.PersistentVolumeClaim) bool { return true })
		if got := claim.Spec.DataSource; got == nil || got.Kind != source.Kind || got.Name != s.translator.HostName(s.namespace, source.Name) {
			t.Errorf("%s: got the source %+v, want that of the host", name, got)
		}
	}

	// The snapshot is lost inside: the data stay, and no other snapshot of the name leads to them.
	s.stop()
	_, err = each.inside.Patch(ctx, "one", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	s.must(err)
	s.must(each.inside.Delete(ctx, "one", metav1.DeleteOptions{}))
	s.start()
	kept := each.awaitHost("one", "is kept", func(host *unstructured.Unstructured) bool { return host.GetLabels()[tenancyv1.LabelOrphan] != "" })
	if kept.GetUID() != host.GetUID() || kept.GetDeletionTimestamp() != nil {
		t.Errorf("got %s, deleted %v, want %s as it was", kept.GetUID(), kept.GetDeletionTimestamp(), host.GetUID())
	}
	each.awaitEvent(take("one", fields{"source": of}).GetUID(), "HostDataKept")
	each.awaitEvent(restore("again", ofSnapshot("one")).UID, "HostDataKept")

	// A deletion that is seen takes the data along.
	s.must(each.inside.Delete(ctx, "two", metav1.DeleteOptions{}))
	framework.Eventually(t, "the snapshot is gone on both sides", func(ctx context.Context) (bool, error) {
		_, inside := each.inside.Get(ctx, "two", metav1.GetOptions{})
		_, onHost := each.onHost.Get(ctx, each.hostName("two"), metav1.GetOptions{})
		return apierrors.IsNotFound(inside) && apierrors.IsNotFound(onHost), nil
	})
}

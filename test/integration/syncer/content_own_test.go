// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestOwnSnapshotContent wants a content of the tenant to reach the host for its snapshot alone, as the
// administrator allows it, and attacks the data of others.
func TestOwnSnapshotContent(t *testing.T) {
	s := setUp(t)
	s.stop()
	s.snapshots, s.contents = true, true
	s.storage = &tenancyv1.AllowedStorage{CSI: []tenancyv1.AllowedCSI{{Driver: driver, SnapshotHandles: []string{"team-a-*"}}}}
	s.start()
	ctx := t.Context()
	onHost, inside := s.hostObjects.Resource(snapshotContents), s.virtualObjects.Resource(snapshotContents)
	each := newSubject(t, s, &kind{GroupVersionResource: snapshotsOfVolumes, kind: "VolumeSnapshot"})
	name := func(short string) string { return s.namespace + "-" + short }
	hostName := func(short string) string { return s.translator.HostName("", name(short)) }
	create := func(short, handle, namespace, snapshot string, change func(spec fields)) *unstructured.Unstructured {
		t.Helper()
		spec := fields{"driver": driver, "deletionPolicy": "Retain", "source": fields{"snapshotHandle": handle}, "volumeSnapshotRef": fields{"namespace": namespace, "name": snapshot}}
		if change != nil {
			change(spec)
		}
		made := &unstructured.Unstructured{Object: fields{"apiVersion": snapshotContents.GroupVersion().String(), "kind": "VolumeSnapshotContent", "spec": spec}}
		made.SetName(name(short))
		made.SetAnnotations(map[string]string{secretOfContent: "mine", "snapshot.storage.kubernetes.io/deletion-secret-namespace": "kube-system"})
		made, err := inside.Create(ctx, made, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() {
			_, err := inside.Patch(context.Background(), made.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
			if err == nil {
				err = inside.Delete(context.Background(), made.GetName(), metav1.DeleteOptions{})
			}
			if err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		})
		return made
	}
	use := func(snapshot, content string) *unstructured.Unstructured {
		t.Helper()
		made, err := each.inside.Create(ctx, snapshotOf(snapshot, fields{"source": fields{"volumeSnapshotContentName": content}}), metav1.CreateOptions{})
		s.must(err)
		return made
	}

	// It waits for its snapshot, and both name each other on the host.
	create("own", "team-a-1", s.namespace, "one", nil)
	one := use("one", name("own"))
	host := each.awaitHost("one", "is on the host", func(host *unstructured.Unstructured) bool {
		return host.GetAnnotations()[tenancyv1.AnnotationVirtualUID] == string(one.GetUID())
	})
	if of, _, _ := unstructured.NestedString(host.Object, "spec", "source", "volumeSnapshotContentName"); of != hostName("own") {
		t.Errorf("source on the host: got %q, want the host's content, %q", of, hostName("own"))
	}
	var content *unstructured.Unstructured
	framework.Eventually(t, "the content is on the host", func(ctx context.Context) (bool, error) {
		var err error
		content, err = onHost.Get(ctx, hostName("own"), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	spec, _ := content.Object["spec"].(fields)
	ref, _ := spec["volumeSnapshotRef"].(fields)
	source, _ := spec["source"].(fields)
	if ref["namespace"] != s.hostNamespace || ref["name"] != host.GetName() || ref["uid"] != string(host.GetUID()) {
		t.Errorf("volumeSnapshotRef on the host: got %v, want the host's snapshot with its UID", ref)
	}
	if spec["deletionPolicy"] != "Retain" || spec["driver"] != driver || source["snapshotHandle"] != "team-a-1" || len(source) != 1 {
		t.Errorf("got %v on the host, want the tenant's", spec)
	}
	if content.GetLabels()[tenancyv1.LabelCluster] != s.translator.Cluster().ID || content.GetAnnotations()[secretOfContent] != "" {
		t.Errorf("got the labels %v and the annotations %v, want the mark and no Secret", content.GetLabels(), content.GetAnnotations())
	}
	content.Object["status"] = fields{"snapshotHandle": "team-a-1", "readyToUse": true, "error": fields{"message": "content " + hostName("own") + " of " + host.GetName() + " was busy"}}
	_, err := onHost.UpdateStatus(ctx, content, metav1.UpdateOptions{})
	s.must(err)
	host.Object["status"] = fields{"boundVolumeSnapshotContentName": hostName("own"), "readyToUse": true}
	_, err = each.onHost.UpdateStatus(ctx, host, metav1.UpdateOptions{})
	s.must(err)
	framework.Eventually(t, "both are bound inside, in the names of there", func(ctx context.Context) (bool, error) {
		snapshot, err := each.inside.Get(ctx, "one", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		found, err := inside.Get(ctx, name("own"), metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		bound, _, _ := unstructured.NestedString(snapshot.Object, "status", "boundVolumeSnapshotContentName")
		uid, _, _ := unstructured.NestedString(found.Object, "spec", "volumeSnapshotRef", "uid")
		said, _, _ := unstructured.NestedString(found.Object, "status", "error", "message")
		return bound == name("own") && uid == string(one.GetUID()) && said == "content "+name("own")+" of one was busy", nil
	})
	if _, err := inside.Get(ctx, hostName("own"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the tenant's own content under the host's name: got %v, want it inside once", err)
	}

	// What the administrator did not allow stays inside, and so does a snapshot that names it.
	for short, attack := range map[string]struct {
		handle, want string
		change       func(spec fields)
	}{
		"foreign": {"team-b-1", `spec.source.snapshotHandle "team-b-1" is refused`, nil},
		"climbs":  {"team-a-/../team-b-1", "may lead out", nil},
		"deleted": {"team-a-1", `spec.deletionPolicy "Delete" is refused`, func(spec fields) { spec["deletionPolicy"] = "Delete" }},
		"cut":     {"", "spec.source.volumeHandle", func(spec fields) { spec["source"] = fields{"volumeHandle": "team-a-1"} }},
		"driver":  {"team-a-1", "spec.driver", func(spec fields) { spec["driver"] = "other.example.org" }},
	} {
		made := create(short, attack.handle, s.namespace, short, attack.change)
		if message := s.awaitEvent(made.GetUID(), "Forbidden"); !strings.Contains(message, attack.want) {
			t.Errorf("content %s: got %q, want %q in it", short, message, attack.want)
		}
		if message := each.awaitEvent(use(short, name(short)).GetUID(), "Forbidden"); !strings.Contains(message, attack.want) {
			t.Errorf("snapshot %s: got %q, want %q in it", short, message, attack.want)
		}
		if _, err := onHost.Get(ctx, hostName(short), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("content %s on the host: got %v, want none", short, err)
		}
	}
	// A content of another namespace inside, or of the host, is nobody else's.
	create("elsewhere", "team-a-2", "kube-system", "mine", nil)
	for snapshot, attack := range map[string]struct{ content, want string }{
		"mine":  {name("elsewhere"), "names another snapshot"},
		"again": {name("own"), "names another snapshot"},
		"hosts": {hostName("own"), "it is no content that was created inside"},
	} {
		if message := each.awaitEvent(use(snapshot, attack.content).GetUID(), "Forbidden"); !strings.Contains(message, attack.want) {
			t.Errorf("%s: got %q, want %q in it", snapshot, message, attack.want)
		}
		if _, err := each.onHost.Get(ctx, each.hostName(snapshot), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s on the host: got %v, want nothing", snapshot, err)
		}
	}

	// The content stays with its snapshot gone, is kept when it is lost inside, and goes with a deletion that is seen.
	s.must(each.inside.Delete(ctx, "one", metav1.DeleteOptions{}))
	framework.Eventually(t, "the snapshot is gone on the host", func(ctx context.Context) (bool, error) {
		_, err := each.onHost.Get(ctx, host.GetName(), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if _, err := onHost.Get(ctx, hostName("own"), metav1.GetOptions{}); err != nil {
		t.Errorf("the content after its snapshot: got %v, want it kept", err)
	}
	s.must(inside.Delete(ctx, name("own"), metav1.DeleteOptions{}))
	framework.Eventually(t, "the content is gone on both sides", func(ctx context.Context) (bool, error) {
		_, virtual := inside.Get(ctx, name("own"), metav1.GetOptions{})
		_, host := onHost.Get(ctx, hostName("own"), metav1.GetOptions{})
		return apierrors.IsNotFound(virtual) && apierrors.IsNotFound(host), nil
	})
}

// TestStolenAccountAndContents has somebody with the account of a syncer reach for the snapshots of
// others. The syncer itself is not asked.
func TestStolenAccountAndContents(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	id := s.translator.Cluster().ID
	s.lent("vc-stolen", []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}}},
		append(tenancyv1.SyncerClusterRules(map[string]bool{tenancyv1.OwnSnapshotContents: true}), rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"hostobjects"}, Verbs: []string{"lent"}}))
	config := rest.CopyConfig(s.plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + s.hostNamespace + ":vc-stolen"}
	client, err := dynamic.NewForConfig(config)
	s.must(err)
	account, admin := client.Resource(snapshotContents), s.hostObjects.Resource(snapshotContents)
	snapshot := &unstructured.Unstructured{Object: fields{"metadata": fields{"namespace": s.hostNamespace, "name": "one", "uid": "u"}}}
	made := func(change func(content *unstructured.Unstructured, spec fields)) *unstructured.Unstructured {
		content := contentFor(s.hostNamespace+"-stolen", snapshot, fields{"snapshotHandle": "a"})
		content.SetAnnotations(nil)
		content.SetLabels(map[string]string{tenancyv1.LabelCluster: id})
		spec := content.Object["spec"].(fields)
		spec["deletionPolicy"] = "Retain"
		delete(spec, "volumeSnapshotClassName")
		if change != nil {
			change(content, spec)
		}
		return content
	}
	ref := func(spec fields) fields { return spec["volumeSnapshotRef"].(fields) }
	for name, test := range map[string]struct {
		change func(*unstructured.Unstructured, fields)
		want   string
	}{
		"another tenant's snapshot": {func(_ *unstructured.Unstructured, spec fields) { ref(spec)["namespace"] = "default" }, "volume snapshots of its own namespace only"},
		"any snapshot of the name":  {func(_ *unstructured.Unstructured, spec fields) { delete(ref(spec), "uid") }, "volume snapshots of its own namespace only"},
		"a volume of anybody":       {func(_ *unstructured.Unstructured, spec fields) { spec["source"] = fields{"volumeHandle": "v"} }, "snapshots that exist only"},
		"data to be deleted":        {func(_ *unstructured.Unstructured, spec fields) { spec["deletionPolicy"] = "Delete" }, "deletion policy Retain only"},
		"a class":                   {func(_ *unstructured.Unstructured, spec fields) { spec["volumeSnapshotClassName"] = "c" }, "gives contents no class"},
		"a Secret of the system": {func(c *unstructured.Unstructured, _ fields) {
			c.SetAnnotations(map[string]string{secretOfContent: "a"})
		}, "without references to Secrets only"},
		"another virtual cluster's": {func(c *unstructured.Unstructured, _ fields) {
			c.SetLabels(map[string]string{tenancyv1.LabelCluster: "0123456789"})
		}, "objects of its own virtual cluster only"},
		"nobody's": {func(c *unstructured.Unstructured, _ fields) { c.SetLabels(nil) }, "objects of its own virtual cluster only"},
	} {
		_, err := account.Create(ctx, made(test.change), metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want it refused: %s", name, err, test.want)
		}
	}
	own, err := account.Create(ctx, made(nil), metav1.CreateOptions{})
	s.must(err)
	foreign, err := admin.Create(ctx, made(func(c *unstructured.Unstructured, _ fields) {
		c.SetName(s.hostNamespace + "-foreign")
		c.SetLabels(map[string]string{tenancyv1.LabelCluster: "0123456789"})
	}), metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		for _, each := range []*unstructured.Unstructured{own, foreign} {
			_ = admin.Delete(context.Background(), each.GetName(), metav1.DeleteOptions{})
		}
	})
	for name, change := range map[string]struct{ content, patch, want string }{
		"taking another's":              {foreign.GetName(), `{"metadata":{"labels":{"garret.dev/cluster":"` + id + `"}}}`, "objects of its own virtual cluster only"},
		"taking the mark off":           {own.GetName(), `{"metadata":{"labels":{"garret.dev/cluster":null}}}`, "objects of its own virtual cluster only"},
		"giving it to another snapshot": {own.GetName(), `{"spec":{"volumeSnapshotRef":{"namespace":"default"}}}`, "volume snapshots of its own namespace only"},
		"having data deleted":           {own.GetName(), `{"spec":{"deletionPolicy":"Delete"}}`, "deletion policy Retain only"},
		"naming a Secret":               {own.GetName(), `{"metadata":{"annotations":{"` + secretOfContent + `":"a"}}}`, "without references to Secrets only"},
		"giving it a class":             {own.GetName(), `{"spec":{"volumeSnapshotClassName":"c"}}`, "gives contents no class"},
	} {
		_, err := account.Patch(ctx, change.content, types.MergePatchType, []byte(change.patch), metav1.PatchOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: got %v, want it refused: %s", name, err, change.want)
		}
	}
	if err := account.Delete(ctx, foreign.GetName(), metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting another's: got %v", err)
	}
	// The host's controller gave it a class, which is no reason to refuse the syncer's next write.
	_, err = admin.Patch(ctx, own.GetName(), types.MergePatchType, []byte(`{"spec":{"volumeSnapshotClassName":"c"}}`), metav1.PatchOptions{})
	s.must(err)
	_, err = account.Patch(ctx, own.GetName(), types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	s.must(err)
}

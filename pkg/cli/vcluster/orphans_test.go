// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// claim is one on the host whose object inside is missing.
func claim(host, cluster, inside string, change ...func(*corev1.PersistentVolumeClaim)) corev1.PersistentVolumeClaim {
	made := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: host, Namespace: "team-a", CreationTimestamp: metav1.NewTime(time.Now().Add(-2*time.Hour - time.Minute)),
			Labels:      map[string]string{tenancyv1.LabelCluster: cluster, tenancyv1.LabelOrphan: "true"},
			Annotations: map[string]string{tenancyv1.AnnotationVirtualNamespace: "shop", tenancyv1.AnnotationVirtualName: inside},
		},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pvc-1", Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
	for _, change := range change {
		change(&made)
	}
	return made
}

func TestListOrphans(t *testing.T) {
	api := newHostAPI(t)
	file := api.writeKubeconfig()
	if _, _, err := api.run("", file, "create", "vcluster", "demo", "--wait=false", "--connect=false"); err != nil {
		t.Fatal(err)
	}
	if printed, told, err := api.run("", file, "list", "--orphans"); err != nil || printed != "" || told != "no orphans in namespace team-a\n" {
		t.Errorf("without orphans: printed %q, told %q (%v)", printed, told, err)
	}
	api.claims = []corev1.PersistentVolumeClaim{
		claim("z", "c1", "db"),
		claim("a", "c0", "cache", func(c *corev1.PersistentVolumeClaim) {
			c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}
			c.DeletionTimestamp, c.Spec.VolumeName = &c.CreationTimestamp, ""
		}),
		claim("known", "c1", "known", func(c *corev1.PersistentVolumeClaim) { delete(c.Labels, tenancyv1.LabelOrphan) }),
	}
	tests := map[string]struct {
		args []string
		want string
	}{
		"table": {nil, `VIRTUAL CLUSTER   KIND                    OBJECT INSIDE   ON THE HOST   SIZE   AGE
(deleted)         PersistentVolumeClaim   shop/cache      a             2Gi    121m
demo              PersistentVolumeClaim   shop/db         z             1Gi    121m
`},
		"everywhere": {[]string{"-A", "--no-headers", "-l", "garret.dev/cluster=c1"}, "team-a   demo   PersistentVolumeClaim   shop/db   z     1Gi   121m\n"},
		"wide": {[]string{"-o", "wide", "--no-headers"}, `(deleted)   PersistentVolumeClaim   shop/cache   a     2Gi   121m   Terminating   <none>   c0
demo        PersistentVolumeClaim   shop/db      z     1Gi   121m   Bound         pvc-1    c1
`},
		"names": {[]string{"-o", "name"}, "persistentvolumeclaim/z\npersistentvolumeclaim/a\n"},
		"path":  {[]string{"-o", "jsonpath={.kind} {.items[*].kind}"}, "PersistentVolumeClaimList PersistentVolumeClaim PersistentVolumeClaim"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			printed, told, err := api.run("", file, append([]string{"list", "--orphans"}, test.args...)...)
			if err != nil || printed != test.want || told != "" {
				t.Errorf("printed %q, told %q (%v), want %q", printed, told, err, test.want)
			}
		})
	}
	if printed, _, err := api.run("", file, "list"); err != nil || !strings.HasPrefix(printed, "NAME   PHASE") {
		t.Errorf("without --orphans, list printed %q (%v), want virtual clusters", printed, err)
	}
}

// TestListOrphansOfCustomKinds finds what holds data by a rule of a virtual cluster, and tells what
// may not be listed.
func TestListOrphansOfCustomKinds(t *testing.T) {
	api := newHostAPI(t)
	file := api.writeKubeconfig()
	if _, _, err := api.run("", file, "create", "vcluster", "demo", "--wait=false", "--connect=false"); err != nil {
		t.Fatal(err)
	}
	api.object.Status.CustomKindsWithData = []string{"closed.v1.example.net", "widgets.v1.example.org"}
	api.claims, api.custom = []corev1.PersistentVolumeClaim{claim("z", "c1", "db")}, true
	printed, told, err := api.run("", file, "list", "--orphans", "--no-headers")
	want := `demo   PersistentVolumeClaim   shop/db     z         1Gi      121m
demo   Widget                  shop/tool   widget1   <none>   121m
`
	if err != nil || printed != want || !strings.Contains(told, "closed.example.net cannot be listed") {
		t.Errorf("printed %q, told %q (%v), want %q", printed, told, err, want)
	}
}

// TestListOrphansOfClusterScope finds PersistentVolumes of tenants, and tells that they may not be
// listed only where a virtual cluster has them.
func TestListOrphansOfClusterScope(t *testing.T) {
	api := newHostAPI(t)
	file := api.writeKubeconfig()
	if _, _, err := api.run("", file, "create", "vcluster", "demo", "--wait=false", "--connect=false"); err != nil {
		t.Fatal(err)
	}
	api.claims = []corev1.PersistentVolumeClaim{}
	volume := func(name, namespace, cluster string) corev1.PersistentVolume {
		made := corev1.PersistentVolume{ObjectMeta: claim(name, cluster, "disk").ObjectMeta, Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
			Spec: corev1.PersistentVolumeSpec{Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")},
				ClaimRef: &corev1.ObjectReference{Namespace: namespace, Name: "db"}}}
		made.Namespace = ""
		delete(made.Annotations, tenancyv1.AnnotationVirtualNamespace)
		return made
	}
	api.volumes = []corev1.PersistentVolume{volume("v1", "team-a", "c1"), volume("v2", "team-b", "c2")}
	for args, want := range map[string]string{
		"":                  "demo   PersistentVolume   disk   v1    5Gi   121m\n",
		"-o wide":           "demo   PersistentVolume   disk   v1    5Gi   121m   Released   v1    c1\n",
		"-A -o name":        "persistentvolume/v1\npersistentvolume/v2\n",
		"-n team-a -o name": "persistentvolume/v1\n",
	} {
		printed, told, err := api.run("", file, strings.Fields("list --orphans --no-headers "+args)...)
		if err != nil || printed != want || told != "" {
			t.Errorf("%s: printed %q, told %q (%v), want %q", args, printed, told, err, want)
		}
	}
	api.contents = true
	if printed, told, err := api.run("", file, "list", "--orphans", "--no-headers"); err != nil || told != "" ||
		printed != "demo   VolumeSnapshotContent   backup   content1   <none>   121m\ndemo   PersistentVolume        disk     v1         5Gi      121m\n" {
		t.Errorf("contents of snapshots: printed %q, told %q (%v)", printed, told, err)
	}
	api.volumes, api.contents = nil, false
	if _, told, err := api.run("", file, "list", "--orphans"); err != nil || told != "no orphans in namespace team-a\n" {
		t.Errorf("who may not list volumes, which nobody has: told %q (%v)", told, err)
	}
	api.object.Spec.Syncer.ToHost.PersistentVolumes.Enabled = ptr.To(true)
	if _, told, err := api.run("", file, "list", "--orphans"); err != nil || !strings.Contains(told, "persistentvolumes cannot be listed, and may hold data as well") {
		t.Errorf("who may not list volumes: told %q (%v), want that they may hold data", told, err)
	}
}

// TestListOrphansAsFarAsOneMay has the host refuse one half and then the other.
func TestListOrphansAsFarAsOneMay(t *testing.T) {
	api := newHostAPI(t)
	file := api.writeKubeconfig()
	api.claims, api.hidden = []corev1.PersistentVolumeClaim{claim("z", "c1", "db")}, true
	printed, told, err := api.run("", file, "list", "--orphans", "--no-headers")
	if err != nil || !strings.HasPrefix(printed, "c1 ") || !strings.Contains(told, "shown by their ids") {
		t.Errorf("who may list no virtual clusters: printed %q, told %q (%v), want the id", printed, told, err)
	}
	api.claims = nil
	for args, want := range map[string]string{"": "in namespace team-a: the ClusterRole view", "-A": "name one of your namespaces with --namespace"} {
		_, _, err := api.run("", file, strings.Fields("list --orphans "+args)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error for a user who may list no claims: got %v, want a remedy with %q", err, want)
		}
	}
}

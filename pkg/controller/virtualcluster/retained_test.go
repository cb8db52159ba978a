// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/tools/record"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyfake "garret.dev/garret/generated/clientset/versioned/fake"
)

const retainedID = "abcdef0123"

// retained is the claim of a control plane that names an id.
func retained(namespace, virtualCluster, id string, ago time.Duration) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "data-vc-" + virtualCluster + "-0", UID: types.UID(namespace + "-" + virtualCluster), CreationTimestamp: metav1.NewTime(now.Add(-ago)),
		Labels:      map[string]string{tenancyv1.LabelVirtualCluster: virtualCluster},
		Annotations: map[string]string{tenancyv1.AnnotationClusterID: id},
	}}
}

func TestTakeUp(t *testing.T) {
	off := false
	own := tenancyv1.ClusterID("u")
	claim := func(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
		c := retained("team", "demo", retainedID, time.Hour)
		if change != nil {
			change(c)
		}
		return c
	}
	other := object(1)
	other.Namespace, other.UID, other.Status.ClusterID = "elsewhere", "other", retainedID
	tests := []struct {
		name   string
		change func(*tenancyv1.VirtualCluster)
		claims []runtime.Object
		others []runtime.Object
		want   string
		// event is how the Event begins; empty for none.
		event string
	}{
		{"no claim", nil, nil, nil, own, ""},
		{"retained data", nil, []runtime.Object{claim(nil)}, nil, retainedID, "Normal RetainedDataTakenUp"},
		{"data without an id", nil, []runtime.Object{claim(func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil })}, nil, own, ""},
		{"data of another name", nil, []runtime.Object{claim(func(c *corev1.PersistentVolumeClaim) { c.Labels[tenancyv1.LabelVirtualCluster] = "other" })}, nil, own, ""},
		{"a claim without a label", nil, []runtime.Object{claim(func(c *corev1.PersistentVolumeClaim) { c.Labels = nil })}, nil, own, ""},
		{"on its way out", nil, []runtime.Object{claim(func(c *corev1.PersistentVolumeClaim) {
			c.DeletionTimestamp, c.Finalizers = &metav1.Time{Time: now}, []string{"kubernetes.io/pvc-protection"}
		})}, nil, own, ""},
		{"no data of its own", func(vc *tenancyv1.VirtualCluster) { vc.Spec.ControlPlane.Storage.Persistent = &off }, []runtime.Object{claim(nil)}, nil, own, ""},
		{"after the release", func(vc *tenancyv1.VirtualCluster) { vc.Status.Release = &tenancyv1.ReleaseStatus{Revision: 1} }, []runtime.Object{claim(nil)}, nil, own, ""},
		{"after the first try", func(vc *tenancyv1.VirtualCluster) { vc.Status.Phase = tenancyv1.PhaseDeploying }, []runtime.Object{claim(nil)}, nil, own, ""},
		{"an id of somebody else", nil, []runtime.Object{claim(nil)}, []runtime.Object{other}, own, "Warning RetainedIDRefused"},
		{"no id at all", nil, []runtime.Object{claim(func(c *corev1.PersistentVolumeClaim) { c.Annotations[tenancyv1.AnnotationClusterID] = "../../etc" })}, nil, own, "Warning RetainedIDRefused"},
		{"a copy of another's claim", nil, []runtime.Object{claim(nil), retained("elsewhere", "demo", retainedID, 2*time.Hour)}, nil, own, "Warning RetainedIDRefused"},
		{"a claim of the same second", nil, []runtime.Object{claim(nil), retained("elsewhere", "demo", retainedID, time.Hour)}, nil, own, "Warning RetainedIDRefused"},
		{"another's copy", nil, []runtime.Object{claim(nil), retained("elsewhere", "demo", retainedID, time.Minute)}, nil, retainedID, "Normal RetainedDataTakenUp"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			vc := object(1)
			vc.Status.ClusterID, vc.Status.Phase = own, tenancyv1.PhasePending
			if test.change != nil {
				test.change(vc)
			}
			c := withCaches(t, test.claims...)
			events := record.NewFakeRecorder(9)
			c.Recorder, c.Tenancy = events, tenancyfake.NewSimpleClientset(append(test.others, vc)...)
			m := &memory{}
			got, err := c.takeUp(t.Context(), vc, m)
			if err == nil {
				got, err = c.takeUp(t.Context(), got, m)
			}
			if err != nil || got.Status.ClusterID != test.want {
				t.Fatalf("got %v, %v; want the id %s", got, err, test.want)
			}
			stored, err := c.Tenancy.TenancyV1().VirtualClusters("team").Get(t.Context(), "demo", metav1.GetOptions{})
			if err != nil || stored.Status.ClusterID != test.want {
				t.Errorf("stored: got %s, %v; want %s", stored.Status.ClusterID, err, test.want)
			}
			// The second pass says nothing new.
			close(events.Events)
			var told []string
			for event := range events.Events {
				told = append(told, event)
			}
			if len(told) > 1 || (len(told) == 1) != (test.event != "") || !strings.HasPrefix(strings.Join(told, ""), test.event) {
				t.Errorf("got events %q, want %q once", told, test.event)
			}
		})
	}
}

// TestOnlyItsOwnClaim reconciles and deletes a virtual cluster without a claim where
// the claim of another one of its name is retained.
func TestOnlyItsOwnClaim(t *testing.T) {
	off := false
	for name, test := range map[string]struct {
		persistent *bool
		// id is what the claim names after a pass; kept says whether it survives the deletion.
		id   string
		kept bool
	}{
		"with data":    {nil, "u", false},
		"without data": {&off, retainedID, true},
	} {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			vc.Status.ClusterID, vc.Spec.ControlPlane.Storage.Persistent = "u", test.persistent
			claim := retained("team", "demo", retainedID, time.Hour)
			claim.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
			scheme := metadatafake.NewTestScheme()
			utilruntime.Must(metav1.AddMetaToScheme(scheme))
			c := withCaches(t, claim)
			c.Metadata = metadatafake.NewSimpleMetadataClient(scheme, &metav1.PartialObjectMetadata{TypeMeta: claim.TypeMeta, ObjectMeta: claim.ObjectMeta})
			claims := c.Metadata.Resource(claimResource()).Namespace("team")
			if err := c.keepID(t.Context(), vc, true); err != nil {
				t.Fatal(err)
			}
			got, err := claims.Get(t.Context(), claim.Name, metav1.GetOptions{})
			if err != nil || got.Annotations[tenancyv1.AnnotationClusterID] != test.id {
				t.Fatalf("after a pass: got %v, %v; want the id %s", got, err, test.id)
			}
			if err := c.removeData(t.Context(), vc, &leftover{}); err != nil {
				t.Fatal(err)
			}
			if _, err := claims.Get(t.Context(), claim.Name, metav1.GetOptions{}); (err == nil) != test.kept {
				t.Errorf("after the deletion: got %v, want it kept: %t", err, test.kept)
			}
		})
	}
}

// TestEndOfACachedObject tears down nothing for an object that only the cache has. The
// controller has no release client here: whatever it did would panic.
func TestEndOfACachedObject(t *testing.T) {
	cached := object(1)
	cached.DeletionTimestamp, cached.Finalizers = &metav1.Time{Time: now}, []string{tenancyv1.Finalizer}
	again := object(1)
	again.UID, again.DeletionTimestamp, again.Finalizers = "another", cached.DeletionTimestamp, cached.Finalizers
	for name, stored := range map[string][]runtime.Object{"gone": nil, "made again": {again}} {
		t.Run(name, func(t *testing.T) {
			c := withCaches(t)
			c.Tenancy = tenancyfake.NewSimpleClientset(stored...)
			if due, err := c.end(t.Context(), cached); due != 0 || err != nil {
				t.Errorf("got %s, %v; want nothing to do", due, err)
			}
		})
	}
}

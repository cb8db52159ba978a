// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const controlPlaneClaim = "data-vc-demo-0"

func retain(vc *tenancyv1.VirtualCluster) {
	vc.Spec.ControlPlane.Storage.WhenDeleted = tenancyv1.RetentionRetain
}

// keptID is the id that the claim of the control plane names.
func (v tenant) keptID(ctx context.Context) (string, error) {
	claim, err := shared.kube.CoreV1().PersistentVolumeClaims(v.ns).Get(ctx, controlPlaneClaim, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return claim.Annotations[tenancyv1.AnnotationClusterID], nil
}

// TestRetainedDataOfAnother deletes a virtual cluster that never ran on the data that
// lie retained under its name.
func TestRetainedDataOfAnother(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(retain)
	before := v.makeReady()
	framework.Eventually(t, "the claim names the id", func(ctx context.Context) (bool, error) {
		id, err := v.keptID(ctx)
		return id == before.Status.ClusterID, err
	})
	v.delete()
	claims := shared.kube.CoreV1().PersistentVolumeClaims(v.ns)
	claim, err := claims.Get(t.Context(), controlPlaneClaim, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The id is that of nobody who may take the data up.
	claim.Annotations[tenancyv1.AnnotationClusterID] = "0123456789"
	claim.Labels["example.org/why"] = "kept"
	if _, err := claims.Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	v.create(func(vc *tenancyv1.VirtualCluster) { vc.Spec.ControlPlane.Storage.Persistent = new(bool) })
	v.statefulSet()
	v.delete()
	if id, err := v.keptID(t.Context()); err != nil || id != "0123456789" {
		t.Errorf("the retained claim: got id %q, %v, want it as it was", id, err)
	}
}

// TestMadeAgainOnRetainedData has a virtual cluster take up the claims of the one before.
func TestMadeAgainOnRetainedData(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(retain)
	before := v.makeReady()
	framework.Succeeds(t, "the claim of the control plane names the id", func(ctx context.Context) error {
		if id, err := v.keptID(ctx); err != nil || id != before.Status.ClusterID {
			return fmt.Errorf("got %q, %w", id, err)
		}
		return nil
	})
	claims := row(t, tenancyv1.ResourceClaims)
	v.made(claims, "workload", before.Status.ClusterID, "a", "")
	v.delete()

	v.create(retain)
	v.statefulSet()
	again := v.makeReady()
	if again.UID == before.UID || again.Status.ClusterID != before.Status.ClusterID {
		t.Errorf("made again, it has the id %s, want %s", again.Status.ClusterID, before.Status.ClusterID)
	}
	for _, container := range v.statefulSet().Spec.Template.Spec.Containers {
		if container.Name == "syncer" && !slices.Contains(container.Args, "--cluster-id="+before.Status.ClusterID) {
			t.Errorf("its syncer runs with %v", container.Args)
		}
	}
	v.event("RetainedDataTakenUp")
	// With the id, the claims of the workloads are its own, down to their end.
	if is, orphan, err := v.there(t.Context(), claims, "workload"); err != nil || !is || !orphan {
		t.Errorf("the workload's claim: there %t, marked %t, %v", is, orphan, err)
	}
	framework.Succeeds(t, "it is to leave nothing this time", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err != nil {
			return err
		}
		vc.Spec.ControlPlane.Storage.WhenDeleted = tenancyv1.RetentionDelete
		_, err = v.clusters().Update(ctx, vc, metav1.UpdateOptions{})
		return err
	})
	v.delete()
	if is, _, err := v.there(t.Context(), claims, "workload"); err != nil || is {
		t.Errorf("the workload's claim is left: %t, %v", is, err)
	}
}

// TestForgedID is about somebody who may write claims in a namespace, and would have
// a virtual cluster there pass for another one.
func TestForgedID(t *testing.T) {
	t.Parallel()
	victim := newTenant(t)
	victim.create(retain)
	id := victim.makeReady().Status.ClusterID
	for name, test := range map[string]struct {
		label, event string
	}{
		"labelled as its own":    {"demo", "RetainedIDRefused"},
		"labelled as another's":  {"other", ""},
		"labelled as of nothing": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newTenant(t)
			forged := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: controlPlaneClaim, Annotations: map[string]string{tenancyv1.AnnotationClusterID: id}},
				Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}}},
			}
			if test.label != "" {
				forged.Labels = map[string]string{tenancyv1.LabelVirtualCluster: test.label}
			}
			if _, err := shared.kube.CoreV1().PersistentVolumeClaims(v.ns).Create(t.Context(), forged, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			v.create(nil)
			if vc := v.makeReady(); vc.Status.ClusterID != tenancyv1.ClusterID(vc.UID) {
				t.Errorf("got the id %s, want its own", vc.Status.ClusterID)
			}
			if test.event != "" {
				v.event(test.event)
			}
		})
	}
}

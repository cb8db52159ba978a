// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func claimResource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceClaims)
}

// takeUp gives a virtual cluster on retained data the id of the one whose data they
// are. So it takes up the claims of the workloads, too. It does so before anything is
// made on the host, and the server allows it no later.
//
// Whoever may write claims in the namespace may write any id there, and host objects
// go by it. So the id of another virtual cluster is refused, wherever that is. So is
// one that an older claim of a control plane names: that one may be made again.
func (c *Controller) takeUp(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (*tenancyv1.VirtualCluster, error) {
	fresh := vc.Status.Phase == tenancyv1.PhasePending && vc.Status.Release == nil && vc.Status.ClusterID == tenancyv1.ClusterID(vc.UID)
	if !fresh || !persistent(vc) {
		return vc, nil
	}
	// The cache may not know yet what the last deletion left.
	claim, err := c.Host.CoreV1().PersistentVolumeClaims(vc.Namespace).Get(ctx, claimName(vc), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return vc, nil
	}
	if err != nil {
		return nil, fmt.Errorf("retained claim: %w", err)
	}
	id := claim.Annotations[tenancyv1.AnnotationClusterID]
	if !ofControlPlane(vc, claim) || id == "" || id == vc.Status.ClusterID {
		return vc, nil
	}
	// Two at a time could both find an id free.
	c.takingUp.Lock()
	defer c.takingUp.Unlock()
	refused, err := c.refuses(ctx, vc, claim, id)
	if err != nil {
		return nil, err
	}
	if refused != "" {
		c.sayOnce(vc, m, &m.refused, corev1.EventTypeWarning, reasonIDRefused, fmt.Sprintf(
			"the volume claim %s names the id %s: %s; this virtual cluster keeps its own id, and adopts no claims of earlier workloads", claim.Name, id, refused))
		return vc, nil
	}
	changed := vc.DeepCopy()
	changed.Status.ClusterID = id
	// A full update respects the resourceVersion: whatever happened meanwhile, this is not written.
	updated, err := c.Tenancy.TenancyV1().VirtualClusters(vc.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController})
	if err != nil {
		return nil, fmt.Errorf("id of retained data: %w", err)
	}
	if updated.Status.ClusterID != id {
		return nil, fmt.Errorf("id of retained data: garret-apiserver keeps %s in place of %s", updated.Status.ClusterID, id)
	}
	klog.FromContext(ctx).Info("Adopting retained data", "claim", klog.KObj(claim), "clusterID", id)
	c.Recorder.Event(vc, corev1.EventTypeNormal, reasonTakenUp, fmt.Sprintf(
		"the virtual cluster uses the data in the volume claim %s; it adopts the host objects with the label %s=%s", claim.Name, tenancyv1.LabelCluster, id))
	return updated, nil
}

// refuses says why a virtual cluster cannot have the id that a claim names.
func (c *Controller) refuses(ctx context.Context, vc *tenancyv1.VirtualCluster, claim *corev1.PersistentVolumeClaim, id string) (string, error) {
	if !tenancyv1.IsClusterID(id) {
		return "this is not a valid id", nil
	}
	all, err := c.Tenancy.TenancyV1().VirtualClusters(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("ids of virtual clusters: %w", err)
	}
	for i := range all.Items {
		if other := &all.Items[i]; other.UID != vc.UID && clusterID(other) == id {
			return "another virtual cluster has that id", nil
		}
	}
	claims, err := c.watched.claims.List(everything)
	if err != nil {
		return "", err
	}
	for _, other := range claims {
		// The copy is younger than what it is a copy of, whoever made it.
		if other.UID != claim.UID && other.Annotations[tenancyv1.AnnotationClusterID] == id && !claim.CreationTimestamp.Before(&other.CreationTimestamp) {
			return "an older volume claim of another control plane has that id", nil
		}
	}
	return "", nil
}

// keepID writes the id to the claim of the control plane, once its volume is there:
// a change before would have the scheduler, which binds it, begin again.
func (c *Controller) keepID(ctx context.Context, vc *tenancyv1.VirtualCluster, ready bool) error {
	if !persistent(vc) {
		// A claim of that name is another one's.
		return nil
	}
	claim, err := c.watched.claims.PersistentVolumeClaims(vc.Namespace).Get(claimName(vc))
	if err != nil || !ready && claim.Status.Phase != corev1.ClaimBound {
		return nil
	}
	return c.writeID(ctx, vc, claim)
}

func (c *Controller) writeID(ctx context.Context, vc *tenancyv1.VirtualCluster, claim metav1.Object) error {
	if !ofControlPlane(vc, claim) || claim.GetAnnotations()[tenancyv1.AnnotationClusterID] == clusterID(vc) {
		return nil
	}
	err := c.patchMetadata(ctx, claimResource(), claim, map[string]any{"annotations": map[string]string{tenancyv1.AnnotationClusterID: clusterID(vc)}})
	if ignoreNotFound(err) != nil {
		return fmt.Errorf("id on claim %s: %w", claim.GetName(), err)
	}
	return nil
}

// persistent says whether the control plane has a claim at all. That never changes.
func persistent(vc *tenancyv1.VirtualCluster) bool {
	return ptr.Deref(vc.Spec.ControlPlane.Storage.Persistent, true)
}

// ofControlPlane says whether a claim is that of a virtual cluster's control plane, and stays.
func ofControlPlane(vc *tenancyv1.VirtualCluster, claim metav1.Object) bool {
	return claim.GetName() == claimName(vc) && claim.GetLabels()[tenancyv1.LabelVirtualCluster] == vc.Name && claim.GetDeletionTimestamp() == nil
}

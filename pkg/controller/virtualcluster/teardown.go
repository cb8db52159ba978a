// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// leavesAgain is the pause while objects are on their way out: those that the
// syncer made are not watched here.
const leavesAgain = 300 * time.Millisecond

// hold puts the finalizer on the object before anything is made for it.
func (c *Controller) hold(ctx context.Context, vc *tenancyv1.VirtualCluster) (*tenancyv1.VirtualCluster, error) {
	if slices.Contains(vc.Finalizers, tenancyv1.Finalizer) {
		return vc, nil
	}
	return c.setFinalizers(ctx, vc, append(slices.Clone(vc.Finalizers), tenancyv1.Finalizer))
}

func (c *Controller) setFinalizers(ctx context.Context, vc *tenancyv1.VirtualCluster, finalizers []string) (*tenancyv1.VirtualCluster, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": vc.UID, "resourceVersion": vc.ResourceVersion, "finalizers": finalizers}})
	if err != nil {
		return nil, err
	}
	updated, err := c.Tenancy.TenancyV1().VirtualClusters(vc.Namespace).Patch(ctx, vc.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerController})
	if err != nil {
		return nil, fmt.Errorf("finalizer: %w", err)
	}
	return updated, nil
}

// tearDown removes a virtual cluster from the host, and the finalizer when nothing
// is left. It makes nothing, so that it works in a namespace that is being deleted.
func (c *Controller) tearDown(ctx context.Context, vc *tenancyv1.VirtualCluster) (time.Duration, error) {
	if !slices.Contains(vc.Finalizers, tenancyv1.Finalizer) {
		return 0, nil
	}
	m := c.remember(cache.NewObjectName(vc.Namespace, vc.Name))
	// First the release: without its Role the syncer can make nothing any more.
	if err := c.Releases.Uninstall(ctx, vc.Namespace, tenancyv1.ReleaseName(vc.Name)); err != nil {
		_, statusErr := c.leaving(ctx, vc, m, "the release cannot be uninstalled: "+err.Error())
		return 0, errors.Join(err, statusErr)
	}
	left, err := c.remove(ctx, vc)
	if err != nil {
		_, statusErr := c.leaving(ctx, vc, m, err.Error())
		return 0, errors.Join(err, statusErr)
	}
	if len(left) > 0 {
		return c.leaving(ctx, vc, m, "waiting for the host to delete "+strings.Join(left, ", "))
	}
	if _, err := c.setFinalizers(ctx, vc, slices.DeleteFunc(slices.Clone(vc.Finalizers), func(f string) bool { return f == tenancyv1.Finalizer })); err != nil {
		return 0, ignoreNotFound(err)
	}
	klog.FromContext(ctx).Info("Removed", "took", c.Clock.Since(vc.DeletionTimestamp.Time).Round(time.Millisecond))
	return 0, nil
}

// leaving says in the status what the deletion waits for.
func (c *Controller) leaving(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, message string) (time.Duration, error) {
	v := verdict{phase: tenancyv1.PhaseTerminating, reason: reasonTerminating, message: message}
	want := vc.Status.DeepCopy()
	v.apply(want, vc.Generation, metav1.NewTime(c.Clock.Now()))
	want.ObservedGeneration = vc.Generation
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return 0, ignoreNotFound(err)
	}
	c.announce(vc, m, v)
	return leavesAgain, nil
}

// remove deletes what the release leaves behind and what the syncer made, and
// returns what is still there. While the release's own pod is, nothing that it
// made counts as gone for good.
func (c *Controller) remove(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]string, error) {
	own := tenancyv1.LabelVirtualCluster + "=" + vc.Name
	pods, err := c.clear(ctx, vc, corev1.SchemeGroupVersion.WithResource("pods"), own)
	if err != nil {
		return nil, err
	}
	left := count(nil, "pod", pods)
	retain := vc.Spec.ControlPlane.Storage.WhenDeleted == tenancyv1.RetentionRetain
	claims, err := c.list(ctx, vc, claimResource(), own)
	if err != nil {
		return nil, err
	}
	if retain {
		for i := range claims {
			if claims[i].Annotations[tenancyv1.AnnotationClusterID] != "" && vc.Status.Release == nil {
				// It never ran on these data, which are another one's still.
				continue
			}
			if err := c.writeID(ctx, vc, &claims[i]); err != nil {
				return nil, err
			}
		}
	} else {
		claims = slices.DeleteFunc(claims, func(claim metav1.PartialObjectMetadata) bool {
			// It holds the data of an earlier one, which were to be retained.
			id := claim.Annotations[tenancyv1.AnnotationClusterID]
			return id != "" && id != clusterID(vc)
		})
		if err := c.deleteAll(ctx, vc, claimResource(), claims); err != nil {
			return nil, err
		}
		left = count(left, "persistentvolumeclaim", len(claims))
	}
	for _, kind := range tenancyv1.Catalogue() {
		if kind.Direction != tenancyv1.ToHost {
			continue
		}
		if retain && kind.HoldsData {
			// The data of the workloads are worth no less than those of the control plane.
			kept, err := c.list(ctx, vc, kind.GroupVersionResource(), madeBy(vc))
			if err != nil {
				return nil, err
			}
			if err := c.markOrphans(ctx, vc, kind.GroupVersionResource(), kept); err != nil {
				return nil, err
			}
			continue
		}
		objects, err := c.clear(ctx, vc, kind.GroupVersionResource(), madeBy(vc))
		if err != nil {
			return nil, err
		}
		left = count(left, "synced "+strings.TrimSuffix(kind.Resource, "s"), objects)
	}
	_, err = c.Host.AppsV1().StatefulSets(vc.Namespace).Get(ctx, tenancyv1.ReleaseName(vc.Name), metav1.GetOptions{})
	if err == nil && len(left) == 0 {
		return c.standing(ctx, vc)
	}
	return left, ignoreNotFound(err)
}

// standing tells a StatefulSet of the release, on its way out, from somebody else's
// of that name.
func (c *Controller) standing(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]string, error) {
	list, err := c.Host.AppsV1().StatefulSets(vc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelVirtualCluster + "=" + vc.Name})
	if err != nil {
		return nil, err
	}
	return count(nil, "statefulset", len(list.Items)), nil
}

func count(left []string, what string, n int) []string {
	switch n {
	case 0:
		return left
	case 1:
		return append(left, "1 "+what)
	default:
		return append(left, fmt.Sprintf("%d %ss", n, what))
	}
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

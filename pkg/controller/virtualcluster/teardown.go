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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

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

// end tears down what the API server still has. The cache may hold an object for a
// moment after its end: by then its name, and what was retained, may be another one's.
func (c *Controller) end(ctx context.Context, cached *tenancyv1.VirtualCluster) (time.Duration, error) {
	vc, err := c.Tenancy.TenancyV1().VirtualClusters(cached.Namespace).Get(ctx, cached.Name, metav1.GetOptions{})
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	if vc.UID != cached.UID {
		return 0, nil
	}
	return c.tearDown(ctx, vc)
}

// tearDown removes a virtual cluster from the host, and the finalizer when nothing
// is left. It makes nothing, so that it works in a namespace that is being deleted.
func (c *Controller) tearDown(ctx context.Context, vc *tenancyv1.VirtualCluster) (time.Duration, error) {
	if !slices.Contains(vc.Finalizers, tenancyv1.Finalizer) {
		return 0, nil
	}
	m := c.remember(cache.NewObjectName(vc.Namespace, vc.Name))
	if err := c.activator.Close(ctx, vc); err != nil {
		return 0, fmt.Errorf("endpoints that wake it: %w", err)
	}
	// First the release: without its Role the syncer can make nothing any more.
	if err := c.Releases.Uninstall(ctx, vc.Namespace, tenancyv1.ReleaseName(vc.Name)); err != nil {
		_, statusErr := c.leaving(ctx, vc, m, "garret-controller cannot uninstall the release: "+err.Error())
		return 0, errors.Join(err, statusErr)
	}
	left, err := c.remove(ctx, vc, m)
	if err != nil {
		_, statusErr := c.leaving(ctx, vc, m, err.Error())
		return 0, errors.Join(err, statusErr)
	}
	if len(left.what) > 0 {
		message := "waiting for the host to delete " + strings.Join(left.what, ", ")
		if left.pods {
			message += c.endingOf(vc).describe()
		}
		return c.leaving(ctx, vc, m, message)
	}
	if _, err := c.setFinalizers(ctx, vc, slices.DeleteFunc(slices.Clone(vc.Finalizers), func(f string) bool { return f == tenancyv1.Finalizer })); err != nil {
		return 0, ignoreNotFound(err)
	}
	klog.FromContext(ctx).Info("Removed", "took", c.Clock.Since(vc.DeletionTimestamp.Time).Round(time.Millisecond))
	return 0, nil
}

// leaving says in the status what the deletion waits for.
func (c *Controller) leaving(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, message string) (time.Duration, error) {
	err := c.conclude(ctx, vc, m, verdict{phase: tenancyv1.PhaseTerminating, reason: reasonTerminating, message: message})
	return c.endingOf(vc).again(), ignoreNotFound(err)
}

// conclude writes a verdict into the status, and nothing else.
func (c *Controller) conclude(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, v verdict) error {
	want := vc.Status.DeepCopy()
	v.apply(want, vc.Generation, metav1.NewTime(c.Clock.Now()))
	want.ObservedGeneration = vc.Generation
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return err
	}
	c.announce(vc, m, v)
	return nil
}

// leftover is what is still on the host.
type leftover struct {
	what []string
	// pods says that pods are among it.
	pods bool
}

func (l *leftover) count(what string, n int) {
	switch {
	case n == 0:
	case n == 1:
		l.what = append(l.what, "1 "+what)
	case strings.HasSuffix(what, "s"):
		l.what = append(l.what, fmt.Sprintf("%d %ses", n, what))
	default:
		l.what = append(l.what, fmt.Sprintf("%d %ss", n, what))
	}
}

// remove deletes what the release leaves behind and what the syncer made, and
// returns what is still there. While the release's own pod is, nothing that it
// made counts as gone for good.
func (c *Controller) remove(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (left leftover, err error) {
	pods, err := c.released(ctx, vc, podResource(), podName(vc))
	if err != nil {
		return left, err
	}
	if err := c.endPods(ctx, vc, m, pods); err != nil {
		return left, err
	}
	left.count("pod", len(pods))
	left.pods = len(pods) > 0
	if err := c.removeData(ctx, vc, &left); err != nil {
		return left, err
	}
	if err := c.removeCustom(ctx, vc, m, &left); err != nil {
		return left, err
	}
	for _, kind := range tenancyv1.Catalogue() {
		if kind.Direction != tenancyv1.ToHost {
			continue
		}
		n, err := c.removeKind(ctx, vc, m, kind)
		if err != nil {
			return left, err
		}
		left.count("synced "+singular(kind.Resource), n)
		left.pods = left.pods || n > 0 && kind.Resource == tenancyv1.ResourcePods
	}
	record, err := c.lineage(ctx, vc)
	if err != nil {
		return left, err
	}
	if err := c.deleteAll(ctx, vc, configMapResource(), record); err != nil {
		return left, err
	}
	left.count("checkpoint", len(record))
	kubeconfigs, err := c.kubeconfigs(ctx, vc)
	if err != nil {
		return left, err
	}
	if err := c.deleteAll(ctx, vc, secretResource(), kubeconfigs); err != nil {
		return left, err
	}
	left.count("kubeconfig", len(kubeconfigs))
	// Before the ingresses are gone, the Secrets would be issued again.
	if len(left.what) == 0 && !retains(vc) {
		certificates, err := c.issued(ctx, vc)
		if err != nil {
			return left, err
		}
		if err := c.deleteAll(ctx, vc, secretResource(), certificates); err != nil {
			return left, err
		}
		left.count("certificate", len(certificates))
	}
	if err := c.endReaders(ctx, vc, nil); err != nil {
		return left, err
	}
	for _, binding := range lentRoles() {
		if _, err := c.lend(ctx, vc, binding, false); err != nil {
			return left, err
		}
	}
	_, err = c.Host.AppsV1().StatefulSets(vc.Namespace).Get(ctx, tenancyv1.ReleaseName(vc.Name), metav1.GetOptions{})
	if err == nil && len(left.what) == 0 {
		return c.standing(ctx, vc)
	}
	return left, ignoreNotFound(err)
}

// removeData deletes the claim of the control plane, or gives it the id that takes its
// data up again.
func (c *Controller) removeData(ctx context.Context, vc *tenancyv1.VirtualCluster, left *leftover) error {
	if !persistent(vc) {
		return nil
	}
	claims, err := c.released(ctx, vc, claimResource(), claimName(vc))
	if err != nil {
		return err
	}
	if retains(vc) {
		for i := range claims {
			if claims[i].Annotations[tenancyv1.AnnotationClusterID] != "" && vc.Status.Release == nil {
				// It never ran on these data, which are another one's still.
				continue
			}
			if err := c.writeID(ctx, vc, &claims[i]); err != nil {
				return err
			}
		}
		return nil
	}
	claims = slices.DeleteFunc(claims, func(claim metav1.PartialObjectMetadata) bool {
		// It holds the data of an earlier one, which were to be retained.
		id := claim.Annotations[tenancyv1.AnnotationClusterID]
		return id != "" && id != clusterID(vc)
	})
	left.count("persistentvolumeclaim", len(claims))
	return c.deleteAll(ctx, vc, claimResource(), claims)
}

func retains(vc *tenancyv1.VirtualCluster) bool {
	return vc.Spec.ControlPlane.Storage.WhenDeleted == tenancyv1.RetentionRetain
}

// removeKind deletes what the syncer made of a kind, or marks it as kept, and returns
// how much is on its way out.
func (c *Controller) removeKind(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, kind tenancyv1.SyncedKind) (int, error) {
	objects, err := c.made(ctx, vc, kind.GroupVersionResource())
	switch {
	case err != nil:
		return 0, err
	case kind.HoldsData && retains(vc):
		// The data of the workloads are worth no less than those of the control plane.
		return 0, c.markOrphans(ctx, vc, kind.GroupVersionResource(), objects)
	case kind.Resource == tenancyv1.ResourcePods:
		return len(objects), c.endPods(ctx, vc, m, objects)
	default:
		return len(objects), c.deleteAll(ctx, vc, kind.GroupVersionResource(), objects)
	}
}

// standing tells a StatefulSet of the release, on its way out, from somebody else's
// of that name.
func (c *Controller) standing(ctx context.Context, vc *tenancyv1.VirtualCluster) (left leftover, err error) {
	list, err := c.Host.AppsV1().StatefulSets(vc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelVirtualCluster + "=" + vc.Name})
	if err != nil {
		return left, err
	}
	left.count("statefulset", len(list.Items))
	return left, nil
}

// singular is the word for one object of a resource.
func singular(resource string) string {
	if word, is := strings.CutSuffix(resource, "classes"); is {
		return word + "class"
	}
	return strings.TrimSuffix(resource, "s")
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// tolerable leaves out that an object is gone, or is another one by now.
func tolerable(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return ignoreNotFound(err)
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/engine"
)

// reasonDetached is the reason of Events about a host pod that somebody on the host took over.
const reasonDetached = "HostPodDetached"

// orphanGrace is the longest that a host pod without a virtual one has to end, in
// seconds. It is what Kubernetes gives a pod that does not ask.
const orphanGrace = corev1.DefaultTerminationGracePeriodSeconds

// UpdateOnHost writes what changed, each part where Kubernetes wants it.
func (p *pods) UpdateOnHost(ctx context.Context, current, wanted *corev1.Pod) (*corev1.Pod, error) {
	client := p.host.Client.CoreV1().Pods(wanted.Namespace)
	written := current
	// Each part goes by itself: one that the host refuses does not hold up the others.
	var errs []error
	wrote := func(what string, updated *corev1.Pod, err error) {
		if apierrors.IsNotFound(err) && p.isThere(ctx, wanted) {
			err = engine.Refuse(reasonUntranslatable, "the host cluster does not support this change: "+what)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
			return
		}
		written = updated
	}
	asked := containers.RecordOf(wanted, wanted)
	for _, container := range addedEphemeral(current, wanted) {
		// One that the host refuses stays in the pod inside: it must not hold up the others.
		updated, err := p.addEphemeral(ctx, written, container)
		wrote("ephemeral container "+container.Name, updated, err)
		if err == nil {
			asked = asked.With(container.Name)
		}
	}
	if written != current {
		updated, err := p.remember(ctx, written, asked)
		wrote("remember ephemeral containers", updated, err)
	}
	refused := false
	if resized := withResources(written, wanted); resized != nil {
		updated, err := p.host.Pods.Ask("resize", written, resized, func() (*corev1.Pod, error) {
			return client.UpdateResize(ctx, wanted.Name, resized, metav1.UpdateOptions{})
		})
		wrote("resize", updated, err)
		refused = err != nil
	}
	rest := wanted.DeepCopy()
	rest.ResourceVersion = written.ResourceVersion
	rest.Spec.EphemeralContainers = written.Spec.EphemeralContainers
	rest.Annotations[containers.Annotation] = asked.String()
	if same := withResources(rest, written); same != nil {
		// The host may have defaulted what was resized.
		rest = same
	}
	if refused {
		// It is asked again until the host agrees, or something else is asked for.
		rest.Annotations[annotationResources] = written.Annotations[annotationResources]
	}
	if equality.Semantic.DeepEqual(written.Spec, rest.Spec) &&
		equality.Semantic.DeepEqual(written.Labels, rest.Labels) &&
		equality.Semantic.DeepEqual(written.Annotations, rest.Annotations) &&
		equality.Semantic.DeepEqual(written.OwnerReferences, rest.OwnerReferences) {
		return written, errors.Join(errs...)
	}
	updated, err := p.host.Pods.Writer(rest.Namespace).Update(ctx, rest, metav1.UpdateOptions{})
	wrote("update", updated, err)
	return written, errors.Join(errs...)
}

// isThere tells a pod that is gone from a subresource that the host does not have.
func (p *pods) isThere(ctx context.Context, host *corev1.Pod) bool {
	found, err := p.host.Pods.Writer(host.Namespace).Get(ctx, host.Name, metav1.GetOptions{})
	return err == nil && found.UID == host.UID
}

// withResources returns the pod with the resources of wanted, or nil when it has them.
func withResources(pod, wanted *corev1.Pod) *corev1.Pod {
	resized := pod.DeepCopy()
	resources := map[string]corev1.ResourceRequirements{}
	forEachContainer(&wanted.Spec, func(container *corev1.Container) { resources[container.Name] = container.Resources })
	forEachContainer(&resized.Spec, func(container *corev1.Container) { container.Resources = resources[container.Name] })
	resized.Spec.Resources = wanted.Spec.Resources
	if equality.Semantic.DeepEqual(resized.Spec, pod.Spec) {
		return nil
	}
	return resized
}

// VirtualEnding passes the deletion on with its grace period, reports while the
// pod winds up, and confirms the end once the host pod is gone.
func (p *pods) VirtualEnding(ctx context.Context, virtual, host *corev1.Pod, hosted bool) error {
	p.known.Add(virtual.UID, nil)
	if !hosted {
		return p.finish(ctx, virtual)
	}
	// A report that fails does not keep the pod from ending.
	return errors.Join(ignoreConflict(p.report(ctx, virtual, host, true)), p.endOnHost(ctx, virtual, host))
}

// endOnHost deletes the host pod with the grace period that the virtual one has.
func (p *pods) endOnHost(ctx context.Context, virtual, host *corev1.Pod) error {
	grace := virtual.DeletionGracePeriodSeconds
	if host.DeletionTimestamp != nil {
		if grace == nil || host.DeletionGracePeriodSeconds == nil || max(*grace, 1) >= *host.DeletionGracePeriodSeconds {
			return nil
		}
		// Somebody lost patience.
	}
	if grace != nil {
		// None at all would take the pod from the host's API before its
		// containers have stopped.
		grace = ptr.To(max(*grace, 1))
	}
	err := p.host.Pods.Writer(host.Namespace).Delete(ctx, host.Name, metav1.DeleteOptions{
		GracePeriodSeconds: grace, Preconditions: &metav1.Preconditions{UID: &host.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete on the host: %w", err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted on the host", "pod", klog.KObj(virtual), "host", klog.KObj(host))
	return nil
}

// HostEnding deletes the virtual pod of a host pod that is being deleted, by
// eviction say, so that what owns it makes another. One that never had a node is
// made again on the host, and nothing inside has to know.
func (p *pods) HostEnding(ctx context.Context, virtual, host *corev1.Pod) error {
	if kept, err := p.endsAsleep(virtual, host); kept || err != nil {
		return err
	}
	if p.boundInside(virtual, host) {
		return p.waitsForNode(ctx, virtual)
	}
	if host.Spec.NodeName == "" && !ran(virtual) {
		return nil
	}
	return errors.Join(ignoreConflict(p.report(ctx, virtual, host, true)), p.deleteInside(ctx, virtual, host.DeletionGracePeriodSeconds))
}

// ignoreConflict leaves out that somebody was faster, whose change is on its way.
func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// HostMissing tells a pod that is yet to be made from one that was, and is gone.
func (p *pods) HostMissing(ctx context.Context, virtual *corev1.Pod) (bool, error) {
	if ran(virtual) || terminated(virtual) {
		if slept, kept, err := p.missingAsleep(virtual); slept || err != nil {
			return kept, err
		}
	}
	if !ran(virtual) || !p.began(virtual) {
		_, rejected := p.rejected.Get(virtual.UID)
		return rejected || terminated(virtual), nil
	}
	// A pod whose marker was taken off is not in the cache, and runs on.
	name := p.translator.HostName(virtual.Namespace, virtual.Name)
	found, err := p.host.Pods.Writer(p.translator.Cluster().HostNamespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil && p.translator.IsOurs(found) {
		return true, engine.Again("the host pod is not in the cache yet")
	}
	if err == nil {
		return true, engine.Refuse(reasonDetached, "its pod on the host cluster no longer has the labels of this virtual cluster")
	}
	if !apierrors.IsNotFound(err) {
		return true, fmt.Errorf("read on the host: %w", err)
	}
	return true, p.finish(ctx, virtual)
}

// ran says whether the virtual pod was bound to a node, by bind or by itself
// with a host pod that was bound.
func ran(pod *corev1.Pod) bool {
	if pod.Spec.NodeName == "" {
		return false
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// began tells whether a host pod of the virtual one had a node: this syncer bound it there, or a
// kubelet has reported. Otherwise somebody inside bound it, such as a scheduler of the tenant's.
func (p *pods) began(virtual *corev1.Pod) bool {
	_, bound := p.bound.Get(virtual.UID)
	status := &virtual.Status
	return bound || status.StartTime != nil || status.HostIP != "" || status.Phase != corev1.PodPending || len(status.ContainerStatuses) > 0
}

func terminated(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// finish confirms that nothing of the pod runs any more. Its phase is made final
// first: a Job counts a pod only then.
func (p *pods) finish(ctx context.Context, virtual *corev1.Pod) error {
	if !terminated(virtual) && ran(virtual) {
		failed := virtual.DeepCopy()
		failed.Status.Phase = corev1.PodFailed
		if virtual.DeletionTimestamp == nil {
			failed.Status.Reason = reasonHostPodDeleted
			failed.Status.Message = "The pod was deleted on the host cluster."
		}
		updated, err := p.virtual.Client.CoreV1().Pods(virtual.Namespace).UpdateStatus(ctx, failed, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("report that the pod ended: %w", err)
		}
		virtual = updated
	}
	if virtual.DeletionTimestamp != nil && ptr.Deref(virtual.DeletionGracePeriodSeconds, 0) == 0 && len(virtual.Finalizers) > 0 {
		// Only its finalizers keep it.
		return nil
	}
	return p.deleteInside(ctx, virtual, ptr.To[int64](0))
}

func (p *pods) deleteInside(ctx context.Context, virtual *corev1.Pod, grace *int64) error {
	err := p.virtual.Pods.Writer(virtual.Namespace).Delete(ctx, virtual.Name, metav1.DeleteOptions{
		GracePeriodSeconds: grace, Preconditions: &metav1.Preconditions{UID: &virtual.UID},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if apierrors.IsConflict(err) {
		return engine.Again("somebody created another pod of this name meanwhile")
	}
	if err != nil {
		return fmt.Errorf("delete inside: %w", err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted inside", "pod", klog.KObj(virtual))
	return nil
}

// GracePeriod is a second where this syncer has seen the virtual pod, which is gone
// before its host pod: it was deleted by force. Its containers are stopped at once,
// as a kubelet does, and the name is free again. One that was never seen may have
// been lost inside, and gets the time that it asks for: within reason, since a tenant
// may ask for years.
func (p *pods) GracePeriod(host *corev1.Pod) *int64 {
	identity, _ := p.translator.IdentityOf(host)
	if _, seen := p.known.Get(identity.UID); seen {
		return ptr.To[int64](1)
	}
	return ptr.To(min(ptr.Deref(host.Spec.TerminationGracePeriodSeconds, orphanGrace), orphanGrace))
}

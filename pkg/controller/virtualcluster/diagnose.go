// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// containerSyncer and containerControlPlane are the chart's names.
	containerSyncer       = "syncer"
	containerControlPlane = "k3s"
	// quietStart is how long a pod may say nothing before its events are read.
	quietStart = 15 * time.Second
	// probesFollow is the time that the kubelet's probes have to confirm a report.
	probesFollow = 30 * time.Second
)

// finalReasons are waiting reasons of the kubelet that time alone never ends.
func finalReasons() []string {
	return []string{"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}
}

// diagnose looks at the objects of a release on the host and says what keeps the
// virtual cluster from being ready. Nil means that the host's side is in order.
func (c *Controller) diagnose(ctx context.Context, vc *tenancyv1.VirtualCluster) *trouble {
	set, err := c.watched.statefulSets.StatefulSets(vc.Namespace).Get(tenancyv1.ReleaseName(vc.Name))
	if err != nil {
		return &trouble{Reason: reasonDeploying, Message: "the host is creating the StatefulSet", progress: true}
	}
	pod, err := c.watched.pods.Pods(vc.Namespace).Get(podName(vc))
	if err != nil {
		if refused := c.refusal(set); refused != nil {
			return refused
		}
		return &trouble{Reason: reasonDeploying, Message: "the host is creating the pod", progress: true}
	}
	if pod.DeletionTimestamp != nil {
		return &trouble{Reason: reasonPodTerminating, Message: "the host is replacing the pod", progress: true}
	}
	if found := podTrouble(pod); found != nil {
		if found.Reason == corev1.PodReasonUnschedulable {
			c.explainVolume(ctx, vc, found)
		}
		return found
	}
	if outdated(set, pod) {
		return &trouble{Reason: reasonRollingOut, Message: "the host is about to replace the pod with one of the new spec", progress: true}
	}
	for container, kind := range map[string]string{containerControlPlane: tenancyv1.ConditionControlPlaneReady, containerSyncer: tenancyv1.ConditionSyncerReady} {
		if !c.up(pod, container, meta.FindStatusCondition(vc.Status.Conditions, kind)) {
			return c.starting(ctx, pod)
		}
	}
	return nil
}

// up says whether a container works. The kubelet's probes come seconds after the
// syncer's own report, so a report that this very container has just become ready
// counts until they have had their time; after that, only they do.
func (c *Controller) up(pod *corev1.Pod, container string, report *metav1.Condition) bool {
	index := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container })
	if index < 0 || pod.Status.ContainerStatuses[index].State.Running == nil {
		return false
	}
	status := pod.Status.ContainerStatuses[index]
	if status.Ready {
		return true
	}
	if report == nil || report.Status != metav1.ConditionTrue {
		return false
	}
	since := report.LastTransitionTime.Time
	return !since.Before(status.State.Running.StartedAt.Time) && c.Clock.Since(since) < probesFollow
}

// outdated says whether a pod was made before the last change of its StatefulSet.
// A StatefulSet that its controller has not reported on has only just been made.
func outdated(set *appsv1.StatefulSet, pod *corev1.Pod) bool {
	seen := set.Status.ObservedGeneration
	if seen == 0 || set.Status.UpdateRevision == "" {
		return false
	}
	return seen < set.Generation || pod.Labels[appsv1.ControllerRevisionHashLabelKey] != set.Status.UpdateRevision
}

// refusal is why the host does not let the pod be made, from the newest event of
// this StatefulSet.
func (c *Controller) refusal(set *appsv1.StatefulSet) *trouble {
	events, err := c.watched.events.Events(set.Namespace).List(everything)
	if err != nil {
		return nil
	}
	var newest *corev1.Event
	for _, event := range events {
		if event.InvolvedObject.UID == set.UID && (newest == nil || eventTime(newest).Before(eventTime(event))) {
			newest = event
		}
	}
	if newest == nil {
		return nil
	}
	reason := reasonPodRefused
	if strings.Contains(newest.Message, "exceeded quota") {
		reason = reasonQuotaExceeded
	}
	return &trouble{Reason: reason, Message: newest.Message}
}

func eventTime(event *corev1.Event) time.Time {
	if event.Series != nil {
		return event.Series.LastObservedTime.Time
	}
	if !event.LastTimestamp.IsZero() {
		return event.LastTimestamp.Time
	}
	return event.EventTime.Time
}

// podTrouble is what the scheduler and the kubelet say about a pod.
func podTrouble(pod *corev1.Pod) *trouble {
	if pod.Status.Phase == corev1.PodFailed {
		reason := pod.Status.Reason
		if reason == "" {
			reason = "PodFailed"
		}
		return &trouble{Reason: reason, Message: fmt.Sprintf("the pod failed: %s", orUnknown(pod.Status.Message))}
	}
	if scheduled := podCondition(pod, corev1.PodScheduled); scheduled != nil && scheduled.Status == corev1.ConditionFalse && scheduled.Reason == corev1.PodReasonUnschedulable {
		return &trouble{Reason: scheduled.Reason, Message: "no node of the host accepts the pod: " + scheduled.Message}
	}
	for _, status := range pod.Status.ContainerStatuses {
		if found := containerTrouble(status); found != nil {
			return found
		}
	}
	return nil
}

func containerTrouble(status corev1.ContainerStatus) *trouble {
	if waiting := status.State.Waiting; waiting != nil && !slices.Contains([]string{"", "ContainerCreating", "PodInitializing"}, waiting.Reason) {
		message := fmt.Sprintf("container %s (%s): %s", status.Name, status.Image, orUnknown(waiting.Message))
		if last := status.LastTerminationState.Terminated; last != nil {
			message += fmt.Sprintf("; it last ended with %s, exit code %d", last.Reason, last.ExitCode)
			if text := strings.TrimSpace(last.Message); text != "" {
				message += ": " + text
			}
		}
		return &trouble{Reason: waiting.Reason, Message: message, final: slices.Contains(finalReasons(), waiting.Reason)}
	}
	if ended := status.State.Terminated; ended != nil {
		return &trouble{Reason: "ContainerTerminated", Message: fmt.Sprintf("container %s ended with %s, exit code %d, and the kubelet is about to start it again", status.Name, ended.Reason, ended.ExitCode), progress: true}
	}
	return nil
}

// explainVolume adds why the claim is not bound, when that is what the scheduler waits for.
func (c *Controller) explainVolume(ctx context.Context, vc *tenancyv1.VirtualCluster, found *trouble) {
	claim, err := c.watched.claims.PersistentVolumeClaims(vc.Namespace).Get(claimName(vc))
	if err != nil || claim.Status.Phase != corev1.ClaimPending || !strings.Contains(found.Message, "PersistentVolumeClaim") {
		return
	}
	found.Reason = reasonVolumePending
	if message := c.lastWarning(ctx, vc.Namespace, "PersistentVolumeClaim", claim.Name); message != "" {
		found.Message = fmt.Sprintf("volume claim %s is pending: %s", claim.Name, message)
		return
	}
	found.Message = fmt.Sprintf("volume claim %s is pending: %s", claim.Name, found.Message)
}

// starting says how far a pod without trouble is. One that has been at it for a
// while has its events read: a volume that cannot be mounted shows nowhere else.
func (c *Controller) starting(ctx context.Context, pod *corev1.Pod) *trouble {
	running := func(name string) bool {
		return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == name && s.State.Running != nil })
	}
	switch {
	case running(containerControlPlane) && running(containerSyncer):
		return &trouble{Reason: reasonStarting, Message: "the control plane and the syncer are starting", progress: true}
	case c.Clock.Since(pod.CreationTimestamp.Time) > quietStart:
		if message := c.lastWarning(ctx, pod.Namespace, "Pod", pod.Name); message != "" {
			return &trouble{Reason: reasonPodNotReady, Message: message, retry: true}
		}
	}
	return &trouble{Reason: reasonStarting, Message: "the kubelet is creating the containers", progress: true, retry: true}
}

// lastWarning is the newest warning about an object, or nothing.
func (c *Controller) lastWarning(ctx context.Context, namespace, kind, name string) string {
	selector := fields.Set{"involvedObject.kind": kind, "involvedObject.name": name, "type": corev1.EventTypeWarning}
	events, err := c.Host.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector.String()})
	if err != nil || len(events.Items) == 0 {
		return ""
	}
	newest := slices.MaxFunc(events.Items, func(a, b corev1.Event) int { return eventTime(&a).Compare(eventTime(&b)) })
	return newest.Message
}

// waitingReasons are the syncer's when it waits for somebody: to decide what becomes of
// the host objects, since the data inside were replaced, or to grant it a right.
func waitingReasons() []string {
	return []string{tenancyv1.ReasonDataReplaced, tenancyv1.ReasonDataOlder, tenancyv1.ReasonMissingRights}
}

// reported is what the syncer says, in conditions of its own.
func reported(vc *tenancyv1.VirtualCluster) *trouble {
	for _, kind := range []string{tenancyv1.ConditionControlPlaneReady, tenancyv1.ConditionSyncerReady} {
		condition := meta.FindStatusCondition(vc.Status.Conditions, kind)
		if condition == nil {
			return &trouble{Reason: reasonStarting, Message: "the syncer has not reported " + kind + " yet", progress: true}
		}
		if condition.Status != metav1.ConditionTrue {
			waits := slices.Contains(waitingReasons(), condition.Reason)
			return &trouble{Reason: condition.Reason, Message: condition.Message, final: waits, progress: !waits}
		}
	}
	return nil
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

func orUnknown(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "the host gives no details"
	}
	return text
}

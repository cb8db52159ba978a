// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/containers"
)

// kubeletConditions are those that a kubelet or scheduler sets and takes off.
// Inside, nobody but the syncer sets them; others are their owners' business.
var kubeletConditions = map[corev1.PodConditionType]bool{
	corev1.PodScheduled:                                true,
	corev1.PodInitialized:                              true,
	corev1.PodReady:                                    true,
	corev1.ContainersReady:                             true,
	corev1.PodReadyToStartContainers:                   true,
	corev1.PodResizePending:                            true,
	corev1.PodResizeInProgress:                         true,
	corev1.PodConditionType("AllContainersRestarting"): true,
}

// report writes the host pod's status to the virtual pod.
func (p *pods) report(ctx context.Context, virtual, host *corev1.Pod, carried bool) error {
	own := p.asked(virtual, host).Own(virtual, host)
	status := virtualStatus(virtual, host, own, p.translator.Readable(virtual.Namespace, append(p.References(virtual), virtual.Name)...), carried)
	if equality.Semantic.DeepEqual(virtual.Status, *status) {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status = *status
	_, err := p.virtual.Client.CoreV1().Pods(virtual.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("report the status: %w", err)
	}
	p.tellAbsent(virtual, own.Absent())
	return nil
}

// tellAbsent makes an Event for each container that the status begins to call absent.
func (p *pods) tellAbsent(virtual *corev1.Pod, absent []containers.Absent) {
	for _, each := range absent {
		before := statusOf(*statusesOf(&virtual.Status, each.List), each.Name)
		ended := before != nil && before.State.Terminated != nil
		told := before != nil && before.State.Waiting != nil && before.State.Waiting.Reason == each.Reason
		if !ended && !told {
			p.recorder.Event(virtual, corev1.EventTypeWarning, each.Reason, each.Message)
		}
	}
}

// virtualStatus is the status that the virtual pod is to have. Names turns the
// names of the host in messages into those inside. Phase and conditions are the
// host's, whatever containers they come from: the host runs the pod, and its Services
// go by them. So a Job whose pod gets a container that never ends does not end either.
func virtualStatus(virtual, host *corev1.Pod, own *containers.Own, names *strings.Replacer, carried bool) *corev1.PodStatus {
	status := host.Status.DeepCopy()
	gates := gateTypes(virtual)
	// What the virtual pod's own people set stays; the rest is the host's.
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c corev1.PodCondition) bool { return gates[c.Type] })
	for _, condition := range virtual.Status.Conditions {
		if kubeletConditions[condition.Type] || slices.ContainsFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == condition.Type }) {
			continue
		}
		status.Conditions = append(status.Conditions, condition)
	}
	// Generations count the changes on one side; a status that is up to date on
	// the host is so inside, where all changes have been carried over before.
	generation := func(observed, before int64) int64 {
		if observed == 0 {
			return 0
		}
		if carried && observed == host.Generation {
			return virtual.Generation
		}
		return before
	}
	observed := virtual.Status.ObservedGeneration
	status.ObservedGeneration = generation(status.ObservedGeneration, observed)
	for i := range status.Conditions {
		condition := &status.Conditions[i]
		if !kubeletConditions[condition.Type] {
			continue
		}
		// One that a kubelet wrote before the last change is not about that.
		before := observed
		if at := slices.IndexFunc(virtual.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == condition.Type }); at >= 0 {
			before = virtual.Status.Conditions[at].ObservedGeneration
		}
		condition.ObservedGeneration = generation(condition.ObservedGeneration, before)
	}
	if virtual.Status.QOSClass != "" {
		// The host may have defaulted resources; the class is fixed at creation.
		status.QOSClass = virtual.Status.QOSClass
	}
	keepOwn(status, virtual, own)
	status.ResourceClaimStatuses = virtual.Status.ResourceClaimStatuses
	status.ExtendedResourceClaimStatus, status.NodeAllocatableResourceClaimStatuses = nil, nil
	readable := func(message *string) { *message = names.Replace(own.Conceal(*message)) }
	readable(&status.Message)
	for i := range status.Conditions {
		readable(&status.Conditions[i].Message)
	}
	for _, containers := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses} {
		for i := range containers {
			if waiting := containers[i].State.Waiting; waiting != nil {
				readable(&waiting.Message)
			}
		}
	}
	for _, absent := range own.Absent() {
		statuses := statusesOf(status, absent.List)
		*statuses = append(*statuses, absentStatus(virtual, absent))
	}
	return status
}

func gateTypes(pod *corev1.Pod) map[corev1.PodConditionType]bool {
	types := map[corev1.PodConditionType]bool{}
	for _, gate := range pod.Spec.ReadinessGates {
		types[gate.ConditionType] = true
	}
	return types
}

// passGates carries the conditions of readiness gates, which are set inside, to
// the host, whose kubelet decides by them.
func (p *pods) passGates(ctx context.Context, virtual, host *corev1.Pod) error {
	var changed []corev1.PodCondition
	gates := gateTypes(virtual)
	for _, condition := range virtual.Status.Conditions {
		if !gates[condition.Type] {
			continue
		}
		at := slices.IndexFunc(host.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == condition.Type })
		if at < 0 || host.Status.Conditions[at].Status != condition.Status {
			condition.ObservedGeneration = 0
			changed = append(changed, condition)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": host.UID}, "status": map[string]any{"conditions": changed}})
	if err != nil {
		return fmt.Errorf("readiness gates: %w", err)
	}
	_, err = p.host.Pods.Writer(host.Namespace).Patch(ctx, host.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("readiness gates: %w", err)
	}
	return nil
}

// keepOwn leaves out what the host put into the pod, which is none of the tenant's.
func keepOwn(status *corev1.PodStatus, virtual *corev1.Pod, own *containers.Own) {
	inside := map[string]*corev1.Container{}
	forEachContainer(&virtual.Spec, func(container *corev1.Container) { inside[container.Name] = container })
	for _, list := range []containers.List{containers.Init, containers.Main, containers.Ephemeral} {
		statuses := statusesOf(status, list)
		*statuses = slices.DeleteFunc(*statuses, func(c corev1.ContainerStatus) bool { return !own.Has(list, c.Name) })
		for i := range *statuses {
			keepOwnParts(&(*statuses)[i], inside[(*statuses)[i].Name])
		}
	}
	if virtual.Spec.Resources == nil {
		status.Resources = nil
		if own.HostOnly() {
			// The sum counts the host's containers in, and is nothing that the pod asked for.
			status.AllocatedResources = nil
		}
	}
	status.VolumeHealth = slices.DeleteFunc(status.VolumeHealth, func(health corev1.PodVolumeHealth) bool {
		return !slices.ContainsFunc(virtual.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == health.Name })
	})
}

// keepOwnParts leaves out of a status what the host added to the container.
func keepOwnParts(status *corev1.ContainerStatus, container *corev1.Container) {
	status.VolumeMounts = slices.DeleteFunc(status.VolumeMounts, func(mounted corev1.VolumeMountStatus) bool {
		return !slices.ContainsFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool {
			return mount.Name == mounted.Name && mount.MountPath == mounted.MountPath
		})
	})
	status.AllocatedResourcesStatus = slices.DeleteFunc(status.AllocatedResourcesStatus, func(allocated corev1.ResourceStatus) bool {
		_, requested := container.Resources.Requests[allocated.Name]
		_, limited := container.Resources.Limits[allocated.Name]
		return !requested && !limited && !isOfClaim(container, allocated.Name)
	})
}

// isOfClaim tells whether the status of a resource is about devices that the container claims.
func isOfClaim(container *corev1.Container, resource corev1.ResourceName) bool {
	claim, is := strings.CutPrefix(string(resource), "claim:")
	claim, _, _ = strings.Cut(claim, "/")
	return is && slices.ContainsFunc(container.Resources.Claims, func(c corev1.ResourceClaim) bool { return c.Name == claim })
}

// absentStatus is that of a container which the host does not have. One that has ended
// may not be said to wait.
func absentStatus(virtual *corev1.Pod, absent containers.Absent) corev1.ContainerStatus {
	if before := statusOf(*statusesOf(&virtual.Status, absent.List), absent.Name); before != nil && before.State.Terminated != nil {
		return *before.DeepCopy()
	}
	status := corev1.ContainerStatus{Name: absent.Name, State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: absent.Reason, Message: absent.Message}}}
	forEachContainer(&virtual.Spec, func(container *corev1.Container) {
		if container.Name == absent.Name {
			status.Image = container.Image
		}
	})
	return status
}

// statusesOf are the statuses of a list of containers.
func statusesOf(status *corev1.PodStatus, list containers.List) *[]corev1.ContainerStatus {
	switch list {
	case containers.Init:
		return &status.InitContainerStatuses
	case containers.Ephemeral:
		return &status.EphemeralContainerStatuses
	default:
		return &status.ContainerStatuses
	}
}

func statusOf(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

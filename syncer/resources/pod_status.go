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
	status := virtualStatus(virtual, host, p.translator.Readable(virtual.Namespace, append(p.References(virtual), virtual.Name)...), carried)
	if equality.Semantic.DeepEqual(virtual.Status, *status) {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status = *status
	_, err := p.virtual.Client.CoreV1().Pods(virtual.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("report the status: %w", err)
	}
	return nil
}

// virtualStatus is the status that the virtual pod is to have. Names turns the
// names of the host in messages into those inside.
func virtualStatus(virtual, host *corev1.Pod, names *strings.Replacer, carried bool) *corev1.PodStatus {
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
	generation := func(observed int64) int64 {
		if observed == 0 {
			return 0
		}
		if carried && observed == host.Generation {
			return virtual.Generation
		}
		return virtual.Status.ObservedGeneration
	}
	status.ObservedGeneration = generation(status.ObservedGeneration)
	for i := range status.Conditions {
		if kubeletConditions[status.Conditions[i].Type] {
			status.Conditions[i].ObservedGeneration = generation(status.Conditions[i].ObservedGeneration)
		}
	}
	if virtual.Status.QOSClass != "" {
		// The host may have defaulted resources; the class is fixed at creation.
		status.QOSClass = virtual.Status.QOSClass
	}
	keepOwnContainers(status, &virtual.Spec)
	status.ResourceClaimStatuses = virtual.Status.ResourceClaimStatuses
	status.ExtendedResourceClaimStatus = nil
	readable := func(message *string) { *message = names.Replace(*message) }
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

// keepOwnContainers leaves out the containers that the host put into the pod, which
// are none of the tenant's. Whether the pod is ready is the host's to say all the same.
func keepOwnContainers(status *corev1.PodStatus, virtual *corev1.PodSpec) {
	own := map[string]bool{}
	forEachContainer(virtual, func(container *corev1.Container) { own[container.Name] = true })
	for _, statuses := range []*[]corev1.ContainerStatus{&status.InitContainerStatuses, &status.ContainerStatuses, &status.EphemeralContainerStatuses} {
		*statuses = slices.DeleteFunc(*statuses, func(c corev1.ContainerStatus) bool { return !own[c.Name] })
	}
}

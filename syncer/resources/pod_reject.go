// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
)

// A pod inside that names its node was given to that kubelet, which takes it or rejects
// it for good. On the host the pod asks the scheduler for that one node, and for no
// other. So what the scheduler says of the node is what its kubelet would say.

// rejection is why a kubelet does not take a pod, in its own words.
type rejection struct{ reason, message string }

// outOf begins a kubelet's reason for a resource of which a node has not enough.
const outOf = "OutOf"

// insufficient finds the resource in what a scheduler says of a node.
var insufficient = regexp.MustCompile(`Insufficient ([A-Za-z0-9./-]+[A-Za-z0-9])`)

// predicates are what a kubelet looks at beside resources: the scheduler's words for it,
// and the kubelet's reason.
var predicates = []struct{ said, reason string }{
	{"didn't have free ports for the requested pod ports", "NodePorts"},
	{"didn't match Pod's node affinity/selector", "NodeAffinity"},
	{"had untolerated taint", "TaintToleration"},
}

// rejectionOf finds it in the status of a host pod that asks for one node. What a
// kubelet does not look at, and what may pass without anybody's doing, is none: a node that
// is missing or cordoned, a volume that is not bound.
func rejectionOf(host *corev1.Pod) (rejection, bool) {
	message, _ := unschedulable(host)
	// What follows is about other pods that could make room.
	message, _, _ = strings.Cut(message, " preemption: ")
	if strings.Contains(message, "Too many pods") {
		return rejection{outOf + "pods", "Node didn't have enough resource: pods"}, true
	}
	if found := insufficient.FindStringSubmatch(message); found != nil {
		return rejection{outOf + found[1], "Node didn't have enough resource: " + found[1]}, true
	}
	for _, predicate := range predicates {
		if strings.Contains(message, predicate.said) {
			return rejection{predicate.reason, fmt.Sprintf("Predicate %s failed: node(s) %s", predicate.reason, predicate.said)}, true
		}
	}
	return rejection{}, false
}

// reject ends a pod that its node does not take: inside, and then on the host, where it
// would begin later.
func (p *pods) reject(ctx context.Context, virtual, host *corev1.Pod, why rejection) error {
	failed := virtual.DeepCopy()
	failed.Status.Phase, failed.Status.Reason = corev1.PodFailed, why.reason
	failed.Status.Message, failed.Status.ObservedGeneration = "Pod was rejected: "+why.message, virtual.Generation
	_, err := p.virtual.Client.CoreV1().Pods(virtual.Namespace).UpdateStatus(ctx, failed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("report that the node rejects it: %w", err)
	}
	p.recorder.Event(virtual, corev1.EventTypeWarning, why.reason, why.message)
	klog.FromContext(ctx).V(2).Info("The node rejected the pod", "pod", klog.KObj(virtual), "node", virtual.Spec.NodeName, "reason", why.reason)
	// The cache may not know yet that it has failed when it knows that the host pod is gone.
	p.rejected.Add(virtual.UID, nil)
	return p.endUnbegun(ctx, host)
}

// endUnbegun deletes a host pod without a node whose virtual one has ended: it would begin
// for nobody.
func (p *pods) endUnbegun(ctx context.Context, host *corev1.Pod) error {
	err := p.host.Pods.Writer(host.Namespace).Delete(ctx, host.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0),
		// One that has got its node meanwhile is looked at again.
		Preconditions: &metav1.Preconditions{UID: &host.UID, ResourceVersion: &host.ResourceVersion},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return engine.OnHost("delete the ended pod inside", err)
	}
	return nil
}

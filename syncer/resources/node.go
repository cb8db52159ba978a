// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// nodeLinger is how long a node stays inside after its last pod.
	nodeLinger = time.Minute
)

// nodes keeps a node inside for every node of the host that runs a synced pod.
// Its kubelet is the syncer. Where the syncer may read the host's nodes, labels
// and capacity are the real ones; otherwise only the name is known.
//
// The control plane inside runs without the controller that watches over nodes,
// so there are no heartbeats: whether a node is well is for the host to judge.
type nodes struct {
	translator  *translate.Translator
	virtual     *Virtual
	host        *Host
	kubeletPort int32
	// kubeletVersion stands in nodes whose real version cannot be read.
	kubeletVersion string
	// capacity stands in nodes whose real one cannot be read.
	capacity corev1.ResourceList
	clock    clock.PassiveClock

	mu sync.Mutex
	// unused is since when a node has had no pod.
	unused map[string]time.Time
}

func (b *builder) nodes() *nodes {
	capacity, err := machineCapacity()
	if err != nil {
		b.fail(err)
	}
	n := &nodes{translator: b.Translator, virtual: b.Virtual, host: b.Host, kubeletPort: b.KubeletPort,
		kubeletVersion: b.KubeletVersion, capacity: capacity, clock: b.Clock, unused: map[string]time.Time{}}
	controller := b.controller("nodes", 1, n)
	b.watch(controller, b.Virtual.Pods.Informer(), nodeOf)
	b.watch(controller, b.Host.Pods.Informer(), nodeOf)
	b.watch(controller, b.Virtual.Nodes.Informer(), engine.SameKey)
	if b.Host.Nodes != nil {
		b.watch(controller, b.Host.Nodes.Informer(), engine.SameKey)
	}
	return n
}

// nodeOf names the node that a pod is bound to.
func nodeOf(object any) []types.NamespacedName {
	if pod := object.(*corev1.Pod); pod.Spec.NodeName != "" {
		return []types.NamespacedName{{Name: pod.Spec.NodeName}}
	}
	return nil
}

// Reconcile makes, updates or removes the node inside.
func (n *nodes) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	node, found := n.virtual.Nodes.Get("", key.Name)
	// Pods that a tenant put on a node of its own invention do not count.
	if len(n.host.Pods.ByIndex(indexNode, key.Name)) > 0 {
		n.mu.Lock()
		delete(n.unused, key.Name)
		n.mu.Unlock()
		if !found {
			return 0, n.ensure(ctx, key.Name)
		}
		return 0, n.update(ctx, node)
	}
	if !found || node.Labels[tenancyv1.LabelCluster] != n.translator.Cluster().ID {
		return 0, nil
	}
	if left := n.lingers(key.Name); left > 0 {
		return left, n.update(ctx, node)
	}
	err := n.virtual.Client.CoreV1().Nodes().Delete(ctx, key.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &node.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("delete node %s inside: %w", key.Name, err)
	}
	n.mu.Lock()
	delete(n.unused, key.Name)
	n.mu.Unlock()
	return 0, nil
}

// lingers returns how long the node, which has no pod, is still to stay.
func (n *nodes) lingers(name string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	since, known := n.unused[name]
	if !known {
		since = n.clock.Now()
		n.unused[name] = since
	}
	return nodeLinger - n.clock.Since(since)
}

// ensure makes the node inside unless there is one.
func (n *nodes) ensure(ctx context.Context, name string) error {
	if _, found := n.virtual.Nodes.Get("", name); found {
		return nil
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.apply(node)
	status := node.Status
	client := n.virtual.Client.CoreV1().Nodes()
	created, err := client.Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create node %s inside: %w", name, err)
	}
	klog.FromContext(ctx).V(2).Info("Created a node inside", "node", name)
	if equality.Semantic.DeepEqual(created.Status, status) && len(created.Spec.Taints) == 0 {
		return nil
	}
	return n.update(ctx, created)
}

// update brings labels, taints and status up to date.
func (n *nodes) update(ctx context.Context, node *corev1.Node) error {
	client := n.virtual.Client.CoreV1().Nodes()
	wanted := node.DeepCopy()
	n.apply(wanted)
	if !maps.Equal(wanted.Labels, node.Labels) || !equality.Semantic.DeepEqual(wanted.Spec.Taints, node.Spec.Taints) {
		updated, err := client.Update(ctx, wanted, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("update node %s inside: %w", node.Name, err)
		}
		node, wanted = updated, updated.DeepCopy()
		n.apply(wanted)
	}
	if equality.Semantic.DeepEqual(wanted.Status, node.Status) {
		return nil
	}
	if _, err := client.UpdateStatus(ctx, wanted, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update status of node %s inside: %w", node.Name, err)
	}
	return nil
}

// apply makes the node what it should be. Labels and conditions that somebody
// else set stay.
func (n *nodes) apply(node *corev1.Node) {
	labels := map[string]string{
		corev1.LabelHostname:   node.Name,
		corev1.LabelOSStable:   runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH,
	}
	node.Status.NodeInfo.OperatingSystem, node.Status.NodeInfo.Architecture = runtime.GOOS, runtime.GOARCH
	node.Status.NodeInfo.KubeletVersion = n.kubeletVersion
	node.Status.Capacity, node.Status.Allocatable = n.capacity.DeepCopy(), n.capacity.DeepCopy()
	ready, reason := corev1.ConditionTrue, "SyncerReady"
	if n.host.Nodes != nil {
		if real, found := n.host.Nodes.Get("", node.Name); found {
			maps.Copy(labels, real.Labels)
			node.Status.NodeInfo = real.Status.NodeInfo
			node.Status.Capacity, node.Status.Allocatable = real.Status.Capacity.DeepCopy(), real.Status.Allocatable.DeepCopy()
			for _, condition := range real.Status.Conditions {
				if condition.Type == corev1.NodeReady {
					ready, reason = condition.Status, condition.Reason
				}
			}
		}
	}
	labels[tenancyv1.LabelCluster] = n.translator.Cluster().ID
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	maps.Copy(node.Labels, labels)
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: n.translator.Cluster().PodIP},
		{Type: corev1.NodeHostName, Address: node.Name},
	}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = n.kubeletPort
	n.setReady(node, ready, reason)
	node.Spec.Taints = withReadiness(node.Spec.Taints, ready)
}

func (n *nodes) setReady(node *corev1.Node, status corev1.ConditionStatus, reason string) {
	now := metav1.NewTime(n.clock.Now().Truncate(time.Second))
	condition := corev1.NodeCondition{
		Type: corev1.NodeReady, Status: status, Reason: reason,
		Message: "The syncer is the kubelet of this node.", LastHeartbeatTime: now, LastTransitionTime: now,
	}
	for i := range node.Status.Conditions {
		current := &node.Status.Conditions[i]
		if current.Type != corev1.NodeReady {
			continue
		}
		if current.Status != status || current.Reason != reason {
			*current = condition
		}
		return
	}
	node.Status.Conditions = append(node.Status.Conditions, condition)
}

// withReadiness are the taints with those that say whether the node is ready. The
// API server gives the first to every new node, and who takes it away elsewhere,
// the controller that watches over nodes, does not run inside.
func withReadiness(taints []corev1.Taint, ready corev1.ConditionStatus) []corev1.Taint {
	var out []corev1.Taint
	for _, taint := range taints {
		if taint.Key != corev1.TaintNodeNotReady && taint.Key != corev1.TaintNodeUnreachable {
			out = append(out, taint)
		}
	}
	switch ready {
	case corev1.ConditionFalse:
		out = append(out, corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule})
	case corev1.ConditionUnknown:
		out = append(out, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
	}
	return out
}

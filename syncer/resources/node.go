// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// nodeLinger is how long a node stays inside after its last pod.
	nodeLinger = time.Minute
)

// nodes keeps a node inside for every node of the host that runs a synced pod. Its kubelet
// is the syncer. Where the syncer may read the host's nodes, those that are shown are inside
// with pods or without, and are as the real ones; otherwise only the name is known.
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
	// machine stands in nodes whose real one cannot be read.
	machine    machine
	clock      clock.PassiveClock
	dormancy   *dormancy.Dormancy
	controller *engine.Controller
	// tolerations are those of all pods on the host.
	tolerations []corev1.Toleration
	// required is what they ask of nodes.
	required  []corev1.NodeSelectorRequirement
	resources *HostResources

	mu sync.Mutex
	// unused is since when a node has had no pod.
	unused map[string]time.Time
}

func (b *builder) nodes() *nodes {
	machine, err := thisMachine()
	if err != nil {
		b.fail(err)
	}
	required, err := b.Host.shown.required()
	if err != nil {
		b.fail(fmt.Errorf("selector of nodes: %w", err))
	}
	n := &nodes{required: required, translator: b.Translator, virtual: b.Virtual, host: b.Host, kubeletPort: b.KubeletPort,
		kubeletVersion: b.KubeletVersion, machine: machine, clock: b.Clock, dormancy: b.Dormancy, tolerations: b.PodRules.Tolerations, unused: map[string]time.Time{}, resources: b.HostResources}
	n.controller = mirrored(b, &mirror[*corev1.Node]{virtual: b.Virtual.Nodes, fate: byName(n.fate), apply: n.apply, status: n.status, onHost: n.onHost})
	b.watch(n.controller, b.Virtual.Pods.Informer(), nodeOf)
	b.watch(n.controller, b.Host.Pods.Informer(), nodeOf)
	b.HostResources.watch(func() {
		for _, node := range b.Virtual.Nodes.List() {
			n.controller.Enqueue(engine.KeyOf(node))
		}
	})
	if b.Host.Nodes != nil {
		b.watch(n.controller, b.Host.Nodes.Informer(), engine.SameKey)
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

// fate shows a node that runs a synced pod, and for a while longer. Pods that a tenant
// put on a node of its own invention do not count. Where the host's nodes are shown, one
// that is not among them any more goes with its last pod.
func (n *nodes) fate(name string, node *corev1.Node, found bool) (fate, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, real := n.real(name)
	if real || len(n.host.Pods.ByIndex(indexNode, name)) > 0 {
		delete(n.unused, name)
		return fate{shown: true}, nil
	}
	if found && (n.dormancy.Rests() || n.sleepers(name)) {
		delete(n.unused, name)
		return fate{shown: true}, nil
	}
	if !found || !n.shows(node) {
		delete(n.unused, name)
		return fate{kept: true}, nil
	}
	if n.host.Nodes != nil {
		return fate{}, nil
	}
	if node.Spec.Unschedulable || len(withReadiness(node.Spec.Taints, corev1.ConditionTrue)) > 0 {
		return fate{shown: true}, nil // somebody keeps pods away from it
	}
	if n.hasTenants(node) {
		return fate{shown: true}, nil // somebody gave it resources
	}
	since, known := n.unused[name]
	if !known {
		since = n.clock.Now()
		n.unused[name] = since
	}
	left := nodeLinger - n.clock.Since(since)
	return fate{shown: left > 0, again: max(left, 0)}, nil
}

// ensure makes the node inside unless there is one.
func (n *nodes) ensure(ctx context.Context, name string) error {
	if _, found := n.virtual.Nodes.Get("", name); found {
		return nil
	}
	return n.controller.Now(ctx, types.NamespacedName{Name: name})
}

// apply makes the node what it should be but for its status. Labels and taints that
// somebody else set stay.
func (n *nodes) apply(node *corev1.Node) {
	n.give(node, map[string]string{corev1.LabelHostname: node.Name, corev1.LabelOSStable: runtime.GOOS, corev1.LabelArchStable: runtime.GOARCH})
	ready, _ := n.readiness(node.Name)
	node.Spec.Taints = withReadiness(node.Spec.Taints, ready)
}

// status makes the status what it should be. Conditions that somebody else set stay.
func (n *nodes) status(node *corev1.Node) {
	node.Status.NodeInfo.OperatingSystem, node.Status.NodeInfo.Architecture = runtime.GOOS, runtime.GOARCH
	node.Status.NodeInfo.KubeletVersion = n.kubeletVersion
	node.Status.NodeInfo.KernelVersion = n.machine.kernel
	if runtime := n.runtimeOf(node.Name); runtime != "" {
		node.Status.NodeInfo.ContainerRuntimeVersion = runtime
	}
	if node.Status.NodeInfo.OSImage == "" {
		node.Status.NodeInfo.OSImage = unknownImage
	}
	capacity := node.Status.Capacity
	node.Status.Capacity, node.Status.Allocatable = n.machine.capacity.DeepCopy(), n.machine.capacity.DeepCopy()
	if real, found := n.real(node.Name); found {
		node.Status.NodeInfo = real.Status.NodeInfo
		node.Status.Capacity, node.Status.Allocatable = real.Status.Capacity.DeepCopy(), real.Status.Allocatable.DeepCopy()
	}
	n.keepTenants(node, capacity)
	node.Status.Addresses = append(n.addresses(node),
		corev1.NodeAddress{Type: corev1.NodeInternalDNS, Address: n.translator.Cluster().PodIP},
		corev1.NodeAddress{Type: corev1.NodeHostName, Address: node.Name})
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = n.kubeletPort
	n.declareFeatures(node)
	ready, reason := n.readiness(node.Name)
	n.setReady(node, ready, reason)
}

// unknownImage is the OS image of nodes that may not be read: no pod tells it.
const unknownImage = "unknown"

// runtimeOf is the container runtime of the host's node, as the IDs of containers there
// tell it. They do not tell its version.
func (n *nodes) runtimeOf(name string) string {
	for _, pod := range n.host.Pods.ByIndex(indexNode, name) {
		for i := range pod.Status.ContainerStatuses {
			if kind, _, found := strings.Cut(pod.Status.ContainerStatuses[i].ContainerID, "://"); found {
				return kind + "://unknown"
			}
		}
	}
	return ""
}

// addresses are those of the host's node, where node ports and host ports answer. Where it
// may not be read, its pods tell them; until one does, they are as they were. The kubelet is the syncer,
// whose address stands as InternalDNS: the API server inside prefers that.
func (n *nodes) addresses(node *corev1.Node) []corev1.NodeAddress {
	internal := func(address string) corev1.NodeAddress {
		return corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address}
	}
	if real, found := n.real(node.Name); found {
		at := slices.DeleteFunc(slices.Clone(real.Status.Addresses), func(address corev1.NodeAddress) bool { return address.Type != corev1.NodeInternalIP })
		if len(at) > 0 {
			return at
		}
	}
	for _, pod := range n.host.Pods.ByIndex(indexNode, node.Name) {
		var found []corev1.NodeAddress
		for _, ip := range pod.Status.HostIPs {
			found = append(found, internal(ip.IP))
		}
		if len(found) > 0 {
			return found
		}
	}
	var before []corev1.NodeAddress
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP && address.Address != n.translator.Cluster().PodIP {
			before = append(before, address)
		}
	}
	return before
}

// shows says whether the syncer created the node inside.
func (n *nodes) shows(node *corev1.Node) bool {
	return isShown(node, tenancyv1.LabelCluster, n.translator.Cluster().ID)
}

// given says whether the host's scheduler respects a label of a node inside by itself: it is
// shown of the host's node, or no node of the host stands behind it.
func (n *nodes) given(node *corev1.Node, key string) bool {
	if !n.shows(node) {
		return true
	}
	if key == tenancyv1.LabelCluster || slices.Contains(tenancyv1.StandingNodeLabels(), key) {
		return true
	}
	real, found := n.real(node.Name)
	if !found || n.host.shown.hides(key) {
		return false
	}
	_, of := real.Labels[key]
	return of
}

// real is the host's node, where the syncer may read it.
func (n *nodes) real(name string) (*corev1.Node, bool) {
	if n.host.Nodes == nil {
		return nil, false
	}
	return n.host.Nodes.Get("", name)
}

// readiness is what the host says; a node that may not be read counts as ready.
func (n *nodes) readiness(name string) (corev1.ConditionStatus, string) {
	if real, found := n.real(name); found {
		for _, condition := range real.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status, condition.Reason
			}
		}
	}
	return corev1.ConditionTrue, "SyncerReady"
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

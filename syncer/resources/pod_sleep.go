// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"garret.dev/garret/syncer/engine"
)

const (
	// nodePatience is how long a pod that slept waits for its node. It cannot have another
	// one inside.
	nodePatience = 2 * time.Minute
	// reasonNodeLost is the reason of a pod whose node does not take it again.
	reasonNodeLost = "NodeLost"
	// knownAgain is how often it is looked whether the record was read.
	knownAgain = 100 * time.Millisecond
)

// sleeping has all pods looked at when the virtual cluster has woken.
func (b *builder) sleeping(kind *pods, controller *engine.Controller) {
	b.Dormancy.OnAwake(func() {
		for _, pod := range b.Virtual.Pods.List() {
			controller.Enqueue(engine.KeyOf(pod))
			if pod.Spec.NodeName != "" {
				kind.nodes.controller.Enqueue(types.NamespacedName{Name: pod.Spec.NodeName})
			}
		}
		for _, pod := range b.Host.Pods.List() {
			if identity, ours := b.Translator.IdentityOf(pod); ours && identity.Kind == "" {
				controller.Enqueue(identity.NamespacedName)
			}
		}
	})
	// Tasks begin when it is known what is inside.
	b.engine.AddTask(func(ctx context.Context) {
		err := wait.PollUntilContextCancel(ctx, knownAgain, true, func(context.Context) (bool, error) { return b.Dormancy.Known(), nil })
		if err != nil {
			return
		}
		inside := map[types.UID]bool{}
		for _, pod := range b.Virtual.Pods.List() {
			inside[pod.UID] = true
		}
		b.Dormancy.Prune(inside)
	})
}

// Gate keeps passes over pods from beginning while the virtual cluster is put to sleep.
func (p *pods) Gate() engine.Gate {
	return p.dormancy
}

// unknown is returned while what is gone from the host may have been put to sleep.
func unknown() error {
	return engine.Again("the syncer does not know yet whether the virtual cluster fell asleep")
}

// endsAsleep says whether the host pod ends because it was put to sleep. The virtual pod
// has another one after it, and nothing inside has to know.
func (p *pods) endsAsleep(virtual, host *corev1.Pod) (bool, error) {
	if !p.dormancy.Known() {
		return false, unknown()
	}
	before, slept := p.dormancy.Slept(virtual.UID)
	return slept && (before == host.UID || host.Spec.NodeName == ""), nil
}

// missingAsleep says whether the pod has no host pod because it was put to sleep, and
// whether that is so for good: what has ended does not run again.
func (p *pods) missingAsleep(virtual *corev1.Pod) (slept, kept bool, err error) {
	if !p.dormancy.Known() {
		return false, false, unknown()
	}
	_, slept = p.dormancy.Slept(virtual.UID)
	return slept, terminated(virtual), nil
}

// gotUp notes that a pod that slept has its node again.
func (p *pods) gotUp(virtual, host *corev1.Pod) {
	if before, slept := p.dormancy.Slept(virtual.UID); slept && before != host.UID {
		p.dormancy.Up(virtual.UID)
	}
}

// isLost says whether a pod that slept has waited for its node for too long: it is gone,
// or cordoned. Its owner makes another pod, as for one that a node rejects.
func (p *pods) isLost(virtual, host *corev1.Pod) bool {
	if before, slept := p.dormancy.Slept(virtual.UID); !slept || before == host.UID || virtual.Spec.NodeName == "" || host.Spec.NodeName != "" {
		return false
	}
	for _, condition := range host.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable {
			return p.clock.Since(condition.LastTransitionTime.Time) >= nodePatience
		}
	}
	return false
}

// sleepers says whether pods that slept wait for the node, or ended there. Where the host's
// nodes may be read, one that is gone is not waited for.
func (n *nodes) sleepers(name string) bool {
	if _, found := n.real(name); n.host.Nodes != nil && !found {
		return false
	}
	for _, pod := range n.virtual.Pods.ByIndex(indexNode, name) {
		if _, slept := n.dormancy.Slept(pod.UID); slept {
			return true
		}
	}
	return false
}

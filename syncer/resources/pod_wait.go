// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/engine"
)

// gateNeeds keeps a host pod from a node until what it needs is there. So nothing
// is brought for a pod that the host does not take, and what is brought has the
// pod for its owner.
const gateNeeds = "syncer.garret.dev/needs"

// need is what a pod refers to on the host, or depends on.
type need struct {
	controller *engine.Controller
	// keys names the objects that a virtual pod needs.
	keys func(pod any) []types.NamespacedName
	// must says that the pod does not begin without them.
	must bool
}

// waits tells whether the host pod waits for what it needs.
func waits(host *corev1.Pod) bool { return slices.ContainsFunc(host.Spec.SchedulingGates, isGate) }

func isGate(gate corev1.PodSchedulingGate) bool { return gate.Name == gateNeeds }

// keepWaiting has a new host pod wait.
func keepWaiting(spec *corev1.PodSpec) {
	spec.SchedulingGates = append(spec.SchedulingGates, corev1.PodSchedulingGate{Name: gateNeeds})
}

// Prepare brings what the pod needs, and lets it begin. Nobody on the host would
// try again soon: a kubelet that misses a ConfigMap does so after a while.
func (p *pods) Prepare(ctx context.Context, virtual, host *corev1.Pod) (func(wanted *corev1.Pod), error) {
	if !waits(host) {
		return nil, nil
	}
	if err := bring(ctx, p.before, virtual); err != nil {
		return nil, err
	}
	p.tellLeftOut(virtual)
	return func(wanted *corev1.Pod) {
		wanted.Spec.SchedulingGates = slices.DeleteFunc(wanted.Spec.SchedulingGates, isGate)
	}, nil
}

// bring has the controllers of what the pod needs see to it at once.
func bring(ctx context.Context, needs []need, virtual *corev1.Pod) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var missing []error
	for _, need := range needs {
		for _, key := range need.keys(virtual) {
			group.Go(func() {
				// What may be missing the kubelet tells, as anywhere.
				if err := need.controller.Now(ctx, key); err != nil && need.must {
					mu.Lock()
					defer mu.Unlock()
					missing = append(missing, err)
				}
			})
		}
	}
	group.Wait()
	return errors.Join(missing...)
}

// startsWaiting tells whether the scheduler of the host has not looked at the pod since
// it waited for what it needs. Its status would tell of that. Where the host has it wait for something
// else, the status says so.
func startsWaiting(host *corev1.Pod) bool {
	if len(host.Spec.SchedulingGates) > 0 {
		return waits(host)
	}
	return slices.ContainsFunc(host.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated
	})
}

// waitsForScheduler takes a refusal back from the status inside that is over, when no scheduler of
// the host has looked at the pod yet. It may name one that the host does not have.
func (p *pods) waitsForScheduler(ctx context.Context, virtual, host *corev1.Pod) error {
	if _, refused := unschedulable(virtual); !refused || waits(host) || virtual.Spec.NodeName != "" {
		return nil
	}
	return p.places.report(ctx, virtual, virtual.Status.NominatedNodeName, "waiting for the scheduler "+host.Spec.SchedulerName+" of the host")
}

// waitsForNode says in the status of a pod that somebody inside bound that the host has yet to give it
// the node. The write brings the pod back, and then its host pod is made for that node.
func (p *pods) waitsForNode(ctx context.Context, virtual *corev1.Pod) error {
	return ignoreConflict(p.places.report(ctx, virtual, "", "waiting for the node "+virtual.Spec.NodeName+" of the host"))
}

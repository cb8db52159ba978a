// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/engine"
)

// References are the configmaps, secrets and claims that the pod names.
func (p *pods) References(virtual *corev1.Pod) []string { return referencesOf(virtual).all() }

// avoids identifies the nodes that a host pod keeps away from, which are settled
// when it is made.
func (p *pods) avoids(virtual, host *corev1.Pod) string {
	if host.UID != "" {
		return host.Annotations[annotationAvoids]
	}
	return p.rules(virtual).hash()
}

// rules are what somebody inside wrote on nodes that concerns the pod, and what holds for all pods.
func (p *pods) rules(virtual *corev1.Pod) nodeRules {
	rules := rulesFor(virtual, p.virtual.Nodes.List(), p.nodes.view())
	rules.selector, rules.tolerations, rules.required = p.spec.rules.NodeSelector, p.spec.rules.Tolerations, p.nodes.required
	rules.inside = resourceNamesOf(p.places.inside.of(virtual))
	rules.place, _ = p.places.of(virtual)
	rules.named = virtual.Spec.NodeName
	return rules
}

// Outdated is true for a host pod that has no node yet and keeps away from other
// nodes than it should by now: where it may go cannot be changed.
func (p *pods) Outdated(virtual, host *corev1.Pod) bool {
	if host.Annotations[annotationInside] != "" && !p.places.inside.host.areKnown() {
		return false // what was settled about it cannot be judged yet
	}
	return host.Spec.NodeName == "" && host.Annotations[annotationAvoids] != p.rules(virtual).hash() && !p.boundInside(virtual, host)
}

// boundInside tells whether somebody inside bound the pod, such as a scheduler of the tenant's,
// while its host pod waits for a node. Until the status inside says so, the pod counts as one
// that ran, and would be deleted with its host pod.
func (p *pods) boundInside(virtual, host *corev1.Pod) bool {
	if host.Spec.NodeName != "" || !ran(virtual) || terminated(virtual) || !p.dormancy.Known() {
		return false
	}
	_, slept := p.dormancy.Slept(virtual.UID)
	return !slept
}

// ofNode names the pods that a change of the node may concern.
func (p *pods) ofNode(object any) []types.NamespacedName {
	return p.waiting(object.(*corev1.Node).Name)
}

// waiting names the pods without a node, which a cordon or a taint may concern, and those that
// name the node, which may have waited for it.
func (p *pods) waiting(node string) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, pod := range p.virtual.Pods.List() {
		if pod.Spec.NodeName == "" || pod.Spec.NodeName == node && pod.Status.Phase == corev1.PodPending {
			keys = append(keys, engine.KeyOf(pod))
		}
	}
	return keys
}

// checkNode refuses a pod that names a node of the host that is not shown: whether there is
// such a node is not for the host's scheduler to tell.
func (p *pods) checkNode(virtual *corev1.Pod) error {
	name := virtual.Spec.NodeName
	if name == "" || p.nodes.isShown(name) {
		return nil
	}
	if _, slept := p.dormancy.Slept(virtual.UID); slept {
		return nil // it was there, and is waited for
	}
	return engine.Refuse(reasonForbidden, fmt.Sprintf(
		"spec.nodeName %q is refused: pods of this virtual cluster run only on nodes of the host that it shows; spec.syncer.fromHost.nodes.selector of the VirtualCluster selects them", name))
}

// checkClaims refuses a pod that names a claim whose data on the host are not those
// of the claim inside: of one that is missing, or of an earlier one of the name. The
// host knows only the name, and would mount them.
func (p *pods) checkClaims(virtual *corev1.Pod) error {
	_, slept := p.dormancy.Slept(virtual.UID)
	for _, name := range referencesOf(virtual).claims {
		if !p.claims {
			return engine.Refuse(reasonUntranslatable, fmt.Sprintf("claim %s: volume claims are not synced to the host cluster", name))
		}
		claim, inside := p.virtual.Claims.Get(virtual.Namespace, name)
		if inside && claim.DeletionTimestamp != nil && !slept {
			// The claim on the host is not being deleted while a pod inside has this one.
			return engine.Refuse(reasonFailedScheduling, fmt.Sprintf("claim %s is being deleted", name))
		}
		host, found := p.host.Claims.Get(p.translator.Cluster().HostNamespace, p.translator.HostName(virtual.Namespace, name))
		if !found {
			continue // the host's scheduler waits for it
		}
		identity, ours := p.translator.IdentityOf(host)
		if inside && isEphemeralClaim(virtual, name) && !metav1.IsControlledBy(claim, virtual) {
			return engine.Refuse(reasonUntranslatable, fmt.Sprintf("claim %s belongs to something else, and the ephemeral volume of this pod needs a claim of that name: delete one of them", name))
		}
		if ours && inside && identity.UID == claim.UID && !hasOtherVolume(p.translator, claim, host) {
			continue
		}
		if host.DeletionTimestamp != nil {
			return engine.Again("an earlier claim " + name + " is still being deleted on the host")
		}
		return engine.Refuse(engine.ReasonDataKept, fmt.Sprintf("the host cluster holds data for claim %s that belong to another claim", name))
	}
	return nil
}

// Tell says in the status of a pod that no scheduler of the host looks at why it waits. It is
// what whoever waits for the pod looks at, as with a scheduler that finds no node.
func (p *pods) Tell(ctx context.Context, virtual, host *corev1.Pod, why string) error {
	if virtual.Spec.NodeName != "" || virtual.DeletionTimestamp != nil || terminated(virtual) || host != nil && !waits(host) {
		return nil
	}
	return ignoreConflict(p.places.report(ctx, virtual, virtual.Status.NominatedNodeName, why))
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typednetworkingv1 "k8s.io/client-go/kubernetes/typed/networking/v1"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
)

// reasonNarrowed is the reason of Events about what a policy cannot open.
const reasonNarrowed = "NetworkPolicyNarrowed"

// networkPolicies carries the tenant's policies. All pods share one namespace on the host, so
// labels alone identify a peer. Policies add up: beside the release's own policy, a tenant's
// would forbid nothing. The syncer therefore labels each pod that a tenant's policy selects for
// egress. The release's policy leaves out labelled pods, and the syncer writes the tenant's
// policy within the rules of the release's.
func (b *builder) networkPolicies() {
	resource := networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePolicies)
	client := func(all kubernetes.Interface) func(string) typednetworkingv1.NetworkPolicyInterface {
		return all.NetworkingV1().NetworkPolicies
	}
	b.policies = engine.NewStore(b.Virtual.Informers, resource, client(b.Virtual.Client),
		engine.StoreOptions{Indexers: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}})
	b.Virtual.Namespaces.Follow()
	host := engine.NewStore(b.Host.Informers, resource, client(b.Host.Client), marked(b.Translator.Cluster()))
	declare(b, b.policies, host, declared[*networkingv1.NetworkPolicy]{
		apply:   b.applyPolicy,
		follows: []follow{{b.Virtual.Namespaces.Informer(), b.policiesByNamespace}},
	})
}

// policiesByNamespace names the policies that select among namespaces.
func (b *builder) policiesByNamespace(any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, policy := range b.policies.List() {
		found := false
		visitPeers(&policy.Spec, func(peer *networkingv1.NetworkPolicyPeer) { found = found || peer.NamespaceSelector != nil })
		if found {
			keys = append(keys, engine.KeyOf(policy))
		}
	}
	return keys
}

func (b *builder) applyPolicy(virtual, host *networkingv1.NetworkPolicy) error {
	spec, violations := isolation.NetworkPolicySpec(&virtual.Spec)
	if err := forbidden(violations); err != nil {
		return err
	}
	names, err := b.openDNS(virtual.Namespace, virtual.Spec.Egress)
	if err != nil {
		return engine.Refuse(reasonUntranslatable, err.Error())
	}
	spec.PodSelector = *b.Translator.HostLabelSelector(&spec.PodSelector, []string{virtual.Namespace})
	var failed error
	visitPeers(spec, func(peer *networkingv1.NetworkPolicyPeer) {
		if err := b.translatePeer(virtual.Namespace, peer); err != nil {
			failed = err
		}
	})
	if failed != nil {
		return engine.Refuse(reasonUntranslatable, failed.Error())
	}
	var closed []string
	spec.Egress, closed = b.EgressBounds.Narrow(append(spec.Egress, names...))
	host.Spec = *spec
	b.tellClosed(virtual, closed)
	return nil
}

// tellClosed names the ranges of which a policy opens less than it says.
func (b *builder) tellClosed(virtual *networkingv1.NetworkPolicy, closed []string) {
	if virtual.UID == "" {
		return
	}
	message := ""
	if len(closed) > 0 {
		message = fmt.Sprintf("The policy does not open %s, because the virtual cluster may not reach that: the host's administrator can add ranges to spec.isolation.egressRanges of HostCluster local", strings.Join(closed, ", "))
	}
	b.notices.tell(virtual, reasonNarrowed, message)
}

// translatePeer has a peer mean the host's pods of this virtual cluster. It names their
// namespaces inside by labels, and none of the host.
func (b *builder) translatePeer(namespace string, peer *networkingv1.NetworkPolicyPeer) error {
	if peer.IPBlock != nil {
		return nil
	}
	namespaces := []string{namespace}
	if peer.NamespaceSelector != nil {
		matched, err := b.namespaces(peer.NamespaceSelector)
		if err != nil {
			return err
		}
		// Sorted, so that the same namespaces are the same selector. None at all match nothing.
		namespaces = slices.Sorted(slices.Values(matched))
		if namespaces == nil {
			namespaces = []string{}
		}
	}
	pods := peer.PodSelector
	if pods == nil {
		pods = &metav1.LabelSelector{}
	}
	peer.PodSelector, peer.NamespaceSelector = b.Translator.HostLabelSelector(pods, namespaces), nil
	return nil
}

// visitPeers calls visit with the place of each peer.
func visitPeers(spec *networkingv1.NetworkPolicySpec, visit func(*networkingv1.NetworkPolicyPeer)) {
	for i := range spec.Ingress {
		for j := range spec.Ingress[i].From {
			visit(&spec.Ingress[i].From[j])
		}
	}
	for i := range spec.Egress {
		for j := range spec.Egress[i].To {
			visit(&spec.Egress[i].To[j])
		}
	}
}

// egressPoliced tells whether one of the policies says what the pod reaches. One that cannot be
// read selects every pod of its namespace.
func egressPoliced(policies *engine.Store[*networkingv1.NetworkPolicy], pod *corev1.Pod) bool {
	return slices.ContainsFunc(policies.ByIndex(cache.NamespaceIndex, pod.Namespace), func(policy *networkingv1.NetworkPolicy) bool {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		return slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) && (err != nil || selector.Matches(labels.Set(pod.Labels)))
	})
}

// ofNamespace names the pods of the namespace of a policy.
func (p *pods) ofNamespace(policy any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, pod := range p.virtual.Pods.ByIndex(cache.NamespaceIndex, policy.(*networkingv1.NetworkPolicy).Namespace) {
		keys = append(keys, engine.KeyOf(pod))
	}
	return keys
}

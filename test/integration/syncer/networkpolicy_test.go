// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/test/framework"
)

// TestPoliciesOfTenants has policies inside narrow on the host what pods reach, and an attacker
// allow everything: the host gets what the release opens, and nothing about others' pods.
func TestPoliciesOfTenants(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.stop()
	var err error
	s.bounds, err = isolation.ParseEgressBounds(`[{"to":[{"podSelector":{"matchLabels":{"garret.dev/cluster":"` + s.translator.Cluster().ID + `"}}}]},{"to":[{"ipBlock":{"cidr":"10.50.0.0/16"}}]}]`)
	s.must(err)
	s.start()
	policies := s.virtual.NetworkingV1().NetworkPolicies(s.namespace)
	create := func(name string, spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
		t.Helper()
		made, err := policies.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		s.must(err)
		return made
	}
	await := func(name, what string, is func(networkingv1.NetworkPolicySpec) bool) {
		t.Helper()
		framework.Eventually(t, "policy "+name+" on the host "+what, func(ctx context.Context) (bool, error) {
			found, err := s.host.NetworkingV1().NetworkPolicies(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
			return err == nil && is(found.Spec), nil
		})
	}
	egress := []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	labelled := func(name string, want bool) {
		t.Helper()
		framework.Eventually(t, "pod "+name+" is governed by a tenant's policy or not", func(context.Context) (bool, error) {
			return (s.hostPod(name).Labels[tenancyv1.LabelEgress] == tenancyv1.EgressOfTenant) == want, nil
		})
	}
	s.createPod("before", plain())
	if s.hostPod("before").Labels[tenancyv1.LabelEgress] != "" {
		t.Error("a pod that no policy selects has the label")
	}
	create("all", networkingv1.NetworkPolicySpec{PolicyTypes: egress, Egress: []networkingv1.NetworkPolicyEgressRule{{}}})
	await("all", "opens what the release does", func(spec networkingv1.NetworkPolicySpec) bool {
		return len(spec.Egress) == 2 && len(spec.Egress[0].To) == 1 && len(spec.Egress[1].To) == 1 && spec.Egress[1].To[0].IPBlock.CIDR == "10.50.0.0/16" &&
			spec.PodSelector.MatchLabels[tenancyv1.LabelVirtualNamespace] == s.namespace
	})
	labelled("before", true)
	s.createPod("after", plain())
	if s.hostPod("after").Labels[tenancyv1.LabelEgress] != tenancyv1.EgressOfTenant {
		t.Error("a pod that a policy selects is made without the label")
	}
	s.must(policies.Delete(ctx, "all", metav1.DeleteOptions{}))
	labelled("before", false)

	metadata := create("metadata", networkingv1.NetworkPolicySpec{PolicyTypes: egress, Egress: []networkingv1.NetworkPolicyEgressRule{{
		To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "169.254.169.254/32"}}}}}})
	await("metadata", "opens nothing", func(spec networkingv1.NetworkPolicySpec) bool {
		return len(spec.Egress) == 0 && len(spec.PolicyTypes) == 1
	})
	if message := s.awaitEvent(metadata.UID, "NetworkPolicyNarrowed"); !strings.Contains(message, "169.254.169.254/32") || !strings.Contains(message, "egressRanges") {
		t.Errorf("event: got %q, want the range and who can open it", message)
	}

	// Namespaces are found by their labels inside, also when those change.
	create("friends", networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"friend": s.namespace}}}}}}})
	from := func(spec networkingv1.NetworkPolicySpec) *metav1.LabelSelector {
		peer := spec.Ingress[0].From[0]
		if peer.NamespaceSelector != nil || peer.PodSelector.MatchLabels[tenancyv1.LabelCluster] != s.translator.Cluster().ID {
			t.Errorf("got the peer %v, want pods of the virtual cluster", peer)
		}
		return peer.PodSelector
	}
	await("friends", "lets nobody in", func(spec networkingv1.NetworkPolicySpec) bool {
		return len(from(spec).MatchExpressions) == 1 && from(spec).MatchExpressions[0].Operator == metav1.LabelSelectorOpDoesNotExist
	})
	_, err = s.virtual.CoreV1().Namespaces().Patch(ctx, s.namespace, types.MergePatchType, []byte(`{"metadata":{"labels":{"friend":"`+s.namespace+`"}}}`), metav1.PatchOptions{})
	s.must(err)
	await("friends", "lets the namespace in", func(spec networkingv1.NetworkPolicySpec) bool {
		return from(spec).MatchLabels[tenancyv1.LabelVirtualNamespace] == s.namespace
	})

	// Who has the syncer's account writes no policy about others' pods.
	_, err = s.account.NetworkingV1().NetworkPolicies(s.hostNamespace).Create(ctx, &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "others", Labels: map[string]string{tenancyv1.LabelCluster: s.translator.Cluster().ID}}}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "NetworkPolicies about pods of its own virtual cluster only") {
		t.Errorf("a policy about every pod of the namespace: got %v, want it forbidden", err)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
	"garret.dev/garret/test/framework"
)

// TestNodesOfTheHost shows two nodes of the host inside, by a selector, while a tenant
// attacks what they say and asks for others.
func TestNodesOfTheHost(t *testing.T) {
	s := setUp(t)
	s.stop()
	ctx, pool := t.Context(), "of-"+s.namespace
	s.account = s.lent("vc-demo", nil, []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list", "watch"}}})
	s.nodes = resources.ShownNodes{Read: true, Selector: "pool=" + pool, Labels: tenancyv1.NodeLabels{Shown: []string{"zone", "pool"}, Added: map[string]string{"tier": "gold"}}}
	one, two, other := pool+"-1", pool+"-2", pool+"-other"
	// Taints are mere wishes: tests share the nodes inside, and would keep away from these.
	for name, labels := range map[string]map[string]string{
		one: {"pool": pool, "zone": "a", "rack": "r1"}, two: {"pool": pool, "zone": "b", "rack": "r2"}, other: {"zone": "a"},
	} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{"example.org/key": "of-the-host"}},
			Spec: corev1.NodeSpec{ProviderID: "of-the-host://1", Taints: []corev1.Taint{{Key: "busy", Value: "yes", Effect: corev1.TaintEffectPreferNoSchedule}}},
			Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.7"}},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}}}
		_, err := s.host.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		s.must(err)
		t.Cleanup(func() {
			_ = s.host.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})
			_ = s.virtual.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})
		})
	}
	s.start()

	inside := s.virtual.CoreV1().Nodes()
	await := func(name, what string, is func(*corev1.Node) bool) {
		t.Helper()
		framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
			node, err := inside.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil && is(node), err
		})
	}
	tainted := func(node *corev1.Node, key string) bool {
		return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == key })
	}
	asShown := func(node *corev1.Node) bool {
		return node.Labels["pool"] == pool && node.Labels["tier"] == "gold" && node.Labels["rack"] != "r1" && tainted(node, "busy") &&
			slices.ContainsFunc(node.Status.Addresses, func(at corev1.NodeAddress) bool { return at.Address == "192.0.2.7" })
	}
	for _, name := range []string{one, two} {
		await(name, "node "+name+" is inside, without a pod, as the rules say", asShown)
	}
	s.shownExplained(corev1.SchemeGroupVersion.WithResource("nodes"), one)

	// The tenant passes node one for a node of another rack, hides it from its pool, and keeps it for itself.
	_, err := inside.Patch(ctx, one, types.MergePatchType, []byte(`{"metadata":{"labels":{"rack":"r2","pool":"mine","tier":null}},"spec":{"taints":[{"key":"mine","effect":"PreferNoSchedule"}]}}`), metav1.PatchOptions{})
	s.must(err)
	await(one, "what is the host's is put back, and the rest is the tenant's", func(node *corev1.Node) bool {
		return asShown(node) && node.Labels["rack"] == "r2" && tainted(node, "mine")
	})
	asks := func(name string, change func(*corev1.PodSpec)) []corev1.NodeSelectorTerm {
		t.Helper()
		s.createPod(name, plain(change))
		return s.hostPod(name).Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	held := func(name string, term corev1.NodeSelectorTerm, fields ...string) {
		t.Helper()
		var got []string
		for _, each := range term.MatchFields {
			got = append(got, string(each.Operator)+" "+strings.Join(each.Values, ","))
		}
		if len(term.MatchExpressions) != 1 || term.MatchExpressions[0].Key != "pool" || term.MatchExpressions[0].Values[0] != pool || !slices.Equal(got, fields) {
			t.Errorf("pod %s: got %v, want the nodes of the selector, and %v", name, term, fields)
		}
	}
	// Rack is the tenant's label of one node, whatever the host's nodes have.
	if terms := asks("racked", func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"rack": "r2"} }); len(terms) == 1 {
		held("racked", terms[0], "In "+one)
	} else {
		t.Errorf("got %v, want one node", terms)
	}
	everything := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	elsewhere := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
		{MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{other}}}},
		{MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{two}}}},
	}}}}
	terms := asks("anywhere", func(spec *corev1.PodSpec) { spec.Tolerations, spec.Affinity = everything, elsewhere })
	if len(terms) != 2 {
		t.Fatalf("got %v, want both alternatives", terms)
	}
	held("anywhere", terms[0], "In "+other)
	held("anywhere", terms[1], "In "+two)
	if terms := asks("golden", func(spec *corev1.PodSpec) {
		spec.NodeSelector = map[string]string{"tier": "gold"}
		spec.Tolerations = everything
	}); len(terms) == 2 {
		held("golden", terms[0], "In "+one)
		held("golden", terms[1], "In "+two)
	} else {
		t.Errorf("got %v, want the nodes that have the added label", terms)
	}

	// A node that is not shown, also where the tenant makes one of its name.
	_, err = inside.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{tenancyv1.LabelCluster: s.translator.Cluster().ID}}}, metav1.CreateOptions{})
	s.must(err)
	named := s.createPod("named", plain(func(spec *corev1.PodSpec) { spec.NodeName = other }))
	s.awaitEvent(named.UID, "Forbidden")
	apart := s.createPod("apart", plain(func(spec *corev1.PodSpec) {
		spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "rack", LabelSelector: &metav1.LabelSelector{}}}}}
	}))
	s.awaitEvent(apart.UID, "Forbidden")
	for _, name := range []string{"named", "apart"} {
		if _, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("host pod of %s: got %v, want none", name, err)
		}
	}
	// The administrator adds the node to the pool: its name is the host's from then on, and the pod goes there.
	relabel := func(name, patch string) {
		t.Helper()
		_, err := s.host.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(err)
	}
	relabel(other, `{"metadata":{"labels":{"pool":"`+pool+`"}}}`)
	await(other, "the node is the host's", asShown)
	held("named", s.hostPod("named").Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0], "In "+other)

	// One that runs a pod stays until that is gone; one without goes at once.
	s.createPod("stays", plain())
	s.schedule(s.hostPod("stays"), two)
	framework.Eventually(t, "the pod runs", func(context.Context) (bool, error) {
		return s.virtualPod("stays").Status.Phase == corev1.PodRunning, nil
	})
	relabel(one, `{"metadata":{"labels":{"pool":null}}}`)
	relabel(two, `{"metadata":{"labels":{"pool":null}}}`)
	gone := func(name string) {
		t.Helper()
		framework.Eventually(t, "node "+name+" is gone inside", func(ctx context.Context) (bool, error) {
			_, err := inside.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
	gone(one)
	await(two, "the node of the pod keeps nothing that was the host's", func(node *corev1.Node) bool {
		return node.Labels["zone"] == "" && node.Labels["tier"] == "" && !tainted(node, "busy")
	})
	s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(ctx, s.translator.HostName(s.namespace, "stays"), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	gone(two)
}

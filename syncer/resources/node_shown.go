// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ShownNodes are the nodes of the host that are shown as they are.
type ShownNodes struct {
	// Read says that the syncer may read the host's nodes. Otherwise none is shown.
	Read bool
	// Selector matches their labels on the host; empty for all nodes. No pod goes to others.
	Selector string
	// Labels are those that they have inside.
	Labels tenancyv1.NodeLabels
	// HideTaints says that they have no taints of the host inside.
	HideTaints bool
}

const (
	// annotationGivenLabels and annotationGivenTaints of a node inside name the labels and
	// taints that are not a tenant's, so that they go when the host's node loses them. A
	// tenant who writes there deceives nobody: what the host has is written again, and the rest
	// is what a tenant may write or take away anyway.
	annotationGivenLabels = "garret.dev/given-labels"
	annotationGivenTaints = "garret.dev/given-taints"
)

// hides tells whether the host's label of the key is none inside, so that what nodes inside
// have decides about it alone.
func (s ShownNodes) hides(key string) bool {
	return s.Read && !slices.Contains(tenancyv1.StandingNodeLabels(), key) && (tenancyv1.IsOwnKey(key) || !s.Labels.Shows(key))
}

// required is what the host's scheduler is asked of nodes, so that pods go to shown ones only.
func (s ShownNodes) required() ([]corev1.NodeSelectorRequirement, error) {
	if !s.Read || s.Selector == "" {
		return nil, nil
	}
	selector, err := labels.ParseToRequirements(s.Selector)
	if err != nil {
		return nil, err
	}
	operators := map[selection.Operator]corev1.NodeSelectorOperator{
		selection.In: corev1.NodeSelectorOpIn, selection.Equals: corev1.NodeSelectorOpIn, selection.DoubleEquals: corev1.NodeSelectorOpIn,
		selection.NotIn: corev1.NodeSelectorOpNotIn, selection.NotEquals: corev1.NodeSelectorOpNotIn,
		selection.Exists: corev1.NodeSelectorOpExists, selection.DoesNotExist: corev1.NodeSelectorOpDoesNotExist,
		selection.GreaterThan: corev1.NodeSelectorOpGt, selection.LessThan: corev1.NodeSelectorOpLt,
	}
	var required []corev1.NodeSelectorRequirement
	for _, requirement := range selector {
		one := corev1.NodeSelectorRequirement{Key: requirement.Key(), Operator: operators[requirement.Operator()]}
		if values := requirement.ValuesUnsorted(); len(values) > 0 {
			one.Values = slices.Sorted(slices.Values(values))
		}
		required = append(required, one)
	}
	return required, nil
}

// shownLabels are the labels inside that are the host's, or those of the rules.
func (n *nodes) shownLabels(name string) map[string]string {
	given := map[string]string{}
	real, found := n.real(name)
	if !found {
		return given
	}
	for key, value := range real.Labels {
		if !n.host.shown.hides(key) {
			given[key] = value
		}
	}
	maps.Copy(given, n.host.shown.Labels.Added)
	return given
}

// shownTaints are the taints inside that are the host's. What the rules for all pods tolerate
// keeps no pod away; whether the node is ready, readiness says.
func (n *nodes) shownTaints(name string) []corev1.Taint {
	real, found := n.real(name)
	if !found || n.host.shown.HideTaints {
		return nil
	}
	return n.heeded(real)
}

// heeded are the taints of the host's node that the rules for all pods do not have tolerated.
func (n *nodes) heeded(real *corev1.Node) []corev1.Taint {
	var given []corev1.Taint
	for _, taint := range withReadiness(real.Spec.Taints, corev1.ConditionTrue) {
		if !slices.ContainsFunc(n.tolerations, func(toleration corev1.Toleration) bool {
			return toleration.ToleratesTaint(klog.Background(), &taint, true)
		}) {
			given = append(given, taint)
		}
	}
	return given
}

// give brings labels and taints up to date that are not a tenant's.
func (n *nodes) give(node *corev1.Node, standing map[string]string) {
	labels, taints := n.shownLabels(node.Name), n.shownTaints(node.Name)
	for key := range strings.SplitSeq(node.Annotations[annotationGivenLabels], ",") {
		delete(node.Labels, key)
	}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	remember(node, annotationGivenLabels, slices.Sorted(maps.Keys(labels)))
	for _, all := range []map[string]string{standing, labels} {
		maps.Copy(node.Labels, all)
	}
	show(node, tenancyv1.LabelCluster, n.translator.Cluster().ID)
	before := strings.Split(node.Annotations[annotationGivenTaints], ",")
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
		return slices.Contains(before, nameOf(taint)) || slices.ContainsFunc(taints, func(given corev1.Taint) bool { return given.MatchTaint(&taint) })
	})
	var names []string
	for _, taint := range taints {
		names = append(names, nameOf(taint))
	}
	slices.Sort(names)
	remember(node, annotationGivenTaints, names)
	node.Spec.Taints = append(taints, node.Spec.Taints...)
}

// nameOf is what no two taints of a node have in common.
func nameOf(taint corev1.Taint) string { return taint.Key + ":" + string(taint.Effect) }

// remember keeps a list in an annotation; a list of nothing is none.
func remember(node *corev1.Node, annotation string, list []string) {
	if len(list) == 0 {
		delete(node.Annotations, annotation)
		return
	}
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	node.Annotations[annotation] = strings.Join(list, ",")
}

// givenTaint says whether the host's scheduler respects the taint of a node inside by itself.
func (n *nodes) givenTaint(node *corev1.Node, taint *corev1.Taint) bool {
	return slices.ContainsFunc(n.shownTaints(node.Name), func(given corev1.Taint) bool {
		return given.MatchTaint(taint) && given.Value == taint.Value
	})
}

// isShown tells whether pods may go to the node of the host; where nodes may not be read, to any.
func (n *nodes) isShown(name string) bool {
	if n.host.Nodes == nil || n.host.shown.Selector == "" {
		return true
	}
	_, found := n.real(name)
	return found
}

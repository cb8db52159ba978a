// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"garret.dev/garret/syncer/engine"
)

// maxAlternatives is how many nodes a pod may be let onto by labels of the tenant's.
const maxAlternatives = 200

// labelNowhere is a label that no node has.
const labelNowhere = "syncer.garret.dev/nowhere"

// nodeRules are what somebody inside wrote on nodes, as far as it concerns where a pod
// may go. The host's scheduler knows none of it.
type nodeRules struct {
	// avoid names the nodes that the pod must not go to.
	avoid []string
	// labels are, by the name of the node, the labels that the host's node has not.
	labels map[string]map[string]string
	// hidden tells which labels of the host's nodes are none inside; nil for none.
	hidden func(key string) bool
	// required is what all pods ask of nodes of the host.
	required []corev1.NodeSelectorRequirement
	// selector and tolerations are those of all pods, whatever somebody inside wrote.
	selector    map[string]string
	tolerations []corev1.Toleration
	// inside are the resources of the pod that only nodes inside have, and place the node that
	// the pod got for them.
	inside []corev1.ResourceName
	place  string
	// named is the node that the pod names, or was bound to by somebody inside.
	named string
}

// nodeView says what nodes inside and those of the host have in common, which the host's
// scheduler itself respects.
type nodeView struct {
	label func(node *corev1.Node, key string) bool
	taint func(node *corev1.Node, taint *corev1.Taint) bool
	// hidden tells which labels of the host's nodes are none inside.
	hidden func(key string) bool
}

// view is what nodes inside have in common with those of the host.
func (n *nodes) view() nodeView { return nodeView{n.given, n.givenTaint, n.host.shown.hides} }

// rulesFor are those for the pod, of the nodes inside.
func rulesFor(pod *corev1.Pod, nodes []*corev1.Node, common nodeView) nodeRules {
	rules := nodeRules{avoid: avoidedNodes(pod, nodes, common.taint), hidden: common.hidden}
	asked := keysAsked(pod)
	if len(asked) == 0 {
		return rules
	}
	for key := range asked {
		if rules.hides(key) {
			rules.labels = map[string]map[string]string{}
		}
	}
	for _, node := range nodes {
		for key, value := range node.Labels {
			if !asked[key] || common.label(node, key) {
				continue
			}
			if rules.labels == nil {
				rules.labels = map[string]map[string]string{}
			}
			if rules.labels[node.Name] == nil {
				rules.labels[node.Name] = map[string]string{}
			}
			rules.labels[node.Name][key] = value
		}
	}
	if rules.labels == nil {
		return rules
	}
	// A node without the labels is one that others differ from.
	for _, node := range nodes {
		if rules.labels[node.Name] == nil {
			rules.labels[node.Name] = map[string]string{}
		}
	}
	return rules
}

// hash identifies the rules; it is empty for none.
func (r nodeRules) hash() string {
	switch {
	case r.named != "":
		return engine.Hash([]any{r.named, r.labels, r.selector, r.tolerations, r.required, r.inside})
	case len(r.inside) > 0:
		return engine.Hash([]any{r.avoid, r.labels, r.selector, r.tolerations, r.required, r.inside, r.place})
	case len(r.required) > 0:
		return engine.Hash([]any{r.avoid, r.labels, r.selector, r.tolerations, r.required})
	case len(r.selector)+len(r.tolerations) > 0:
		return engine.Hash([]any{r.avoid, r.labels, r.selector, r.tolerations})
	case r.labels != nil:
		return engine.Hash([]any{r.avoid, r.labels})
	case len(r.avoid) > 0:
		return engine.Hash(r.avoid)
	}
	return ""
}

// keysAsked are the labels of nodes that the pod names.
func keysAsked(pod *corev1.Pod) map[string]bool {
	asked := map[string]bool{}
	for key := range pod.Spec.NodeSelector {
		asked[key] = true
	}
	terms := func(terms ...corev1.NodeSelectorTerm) {
		for _, term := range terms {
			for _, requirement := range term.MatchExpressions {
				asked[requirement.Key] = true
			}
		}
	}
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return asked
	}
	affinity := pod.Spec.Affinity.NodeAffinity
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		terms(required.NodeSelectorTerms...)
	}
	for _, preferred := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		terms(preferred.Preference)
	}
	return asked
}

// hides tells whether the host's label of the key is none inside.
func (r nodeRules) hides(key string) bool { return r.hidden != nil && r.hidden(key) }

// isTenants tells whether somebody inside gave the label to some node, or could.
func (r nodeRules) isTenants(key string) bool {
	if r.hides(key) {
		return true
	}
	for _, labels := range r.labels {
		if _, found := labels[key]; found {
			return true
		}
	}
	return false
}

// byName replaces labels that only nodes inside have with nodes by name.
func (r nodeRules) byName(host *corev1.PodSpec) {
	if r.labels == nil {
		return
	}
	var selected []corev1.NodeSelectorRequirement
	for _, key := range slices.Sorted(maps.Keys(host.NodeSelector)) {
		if r.isTenants(key) {
			selected = append(selected, corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{host.NodeSelector[key]}})
			delete(host.NodeSelector, key)
		}
	}
	if len(selected) > 0 {
		eachAlternative(host, func(term *corev1.NodeSelectorTerm) {
			term.MatchExpressions = append(term.MatchExpressions, selected...)
		})
	}
	if host.Affinity == nil || host.Affinity.NodeAffinity == nil {
		return
	}
	affinity := host.Affinity.NodeAffinity
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		var terms []corev1.NodeSelectorTerm
		for _, term := range required.NodeSelectorTerms {
			terms = append(terms, r.alternatives(term)...)
		}
		if len(terms) == 0 {
			terms = []corev1.NodeSelectorTerm{nowhere()}
		}
		required.NodeSelectorTerms = terms
	}
	var preferred []corev1.PreferredSchedulingTerm
	for _, each := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		for _, term := range r.alternatives(each.Preference) {
			preferred = append(preferred, corev1.PreferredSchedulingTerm{Weight: each.Weight, Preference: term})
		}
	}
	affinity.PreferredDuringSchedulingIgnoredDuringExecution = preferred
}

// nowhere matches no node: each has a name.
func nowhere() corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpDoesNotExist}}}
}

// anywhere matches every node, which an empty term does not.
func anywhere() corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: labelNowhere, Operator: corev1.NodeSelectorOpDoesNotExist}}}
}

// alternatives are the terms on the host that match the nodes which the term matches
// inside. There are none where no node matches.
func (r nodeRules) alternatives(term corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm {
	kept := *term.DeepCopy()
	kept.MatchExpressions = nil
	var tenants []corev1.NodeSelectorRequirement
	positive := false
	for _, requirement := range term.MatchExpressions {
		if !r.isTenants(requirement.Key) {
			kept.MatchExpressions = append(kept.MatchExpressions, requirement)
			continue
		}
		tenants = append(tenants, requirement)
		positive = positive || requirement.Operator != corev1.NodeSelectorOpNotIn && requirement.Operator != corev1.NodeSelectorOpDoesNotExist
	}
	if len(tenants) == 0 {
		return []corev1.NodeSelectorTerm{term}
	}
	matching, others := r.split(tenants)
	if !positive {
		// Nodes that are not inside have no labels of the tenant's.
		for _, name := range others {
			kept.MatchFields = append(kept.MatchFields, named(corev1.NodeSelectorOpNotIn, name))
		}
		if len(kept.MatchExpressions)+len(kept.MatchFields) == 0 {
			kept = anywhere()
		}
		return []corev1.NodeSelectorTerm{kept}
	}
	matching = slices.DeleteFunc(matching, func(name string) bool { return !nameMatches(kept.MatchFields, name) })
	var terms []corev1.NodeSelectorTerm
	for _, name := range matching[:min(len(matching), maxAlternatives)] {
		one := *kept.DeepCopy()
		one.MatchFields = []corev1.NodeSelectorRequirement{named(corev1.NodeSelectorOpIn, name)}
		terms = append(terms, one)
	}
	return terms
}

// split names the nodes inside whose labels of the tenant's match, and those that do not.
func (r nodeRules) split(requirements []corev1.NodeSelectorRequirement) (matching, others []string) {
	selector, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: requirements}}})
	for _, name := range slices.Sorted(maps.Keys(r.labels)) {
		// The API server inside has validated it; one that cannot be read matches nothing.
		if err == nil && selector.Match(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: r.labels[name]}}) {
			matching = append(matching, name)
		} else {
			others = append(others, name)
		}
	}
	return matching, others
}

// nameMatches tells whether a term that has these fields is also about the node.
func nameMatches(fields []corev1.NodeSelectorRequirement, node string) bool {
	return !slices.ContainsFunc(fields, func(r corev1.NodeSelectorRequirement) bool {
		return r.Key == metav1.ObjectNameField && slices.Contains(r.Values, node) != (r.Operator == corev1.NodeSelectorOpIn)
	})
}

func named(operator corev1.NodeSelectorOperator, node string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: metav1.ObjectNameField, Operator: operator, Values: []string{node}}
}

// eachAlternative calls do for each alternative of the pod's required node affinity; a pod
// without any gets one. An empty one matches no node, which it would with something in it.
func eachAlternative(host *corev1.PodSpec, do func(*corev1.NodeSelectorTerm)) {
	if host.Affinity == nil {
		host.Affinity = &corev1.Affinity{}
	}
	if host.Affinity.NodeAffinity == nil {
		host.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	affinity := host.Affinity.NodeAffinity
	if affinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		var term corev1.NodeSelectorTerm
		do(&term)
		affinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}
		return
	}
	terms := affinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for i := range terms {
		if len(terms[i].MatchExpressions)+len(terms[i].MatchFields) > 0 {
			do(&terms[i])
		}
	}
}

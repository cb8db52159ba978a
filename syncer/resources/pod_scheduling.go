// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/translate"
)

// annotationAvoids on a host pod identifies the nodes that it keeps away from because
// of what somebody inside did to them.
const annotationAvoids = "garret.dev/avoids"

// scheduling translates what a pod says about the node that it wants. All pods
// of a virtual cluster lie in one namespace of the host, so a rule about
// namespaces inside becomes one about a label.
type scheduling struct {
	translator *translate.Translator
	// namespaces lists the virtual namespaces that a selector matches.
	namespaces func(*metav1.LabelSelector) ([]string, error)
}

// apply translates it; rules are what somebody inside wrote on nodes.
func (s scheduling) apply(host *corev1.PodSpec, virtual *corev1.Pod, rules nodeRules) error {
	if virtual.Spec.NodeName != "" {
		// A kubelet does not ask where other pods are, and which scheduler found the node: that one
		// may be inside.
		host.TopologySpreadConstraints, host.SchedulerName = nil, ""
		if host.Affinity != nil {
			host.Affinity.PodAffinity, host.Affinity.PodAntiAffinity = nil, nil
		}
	}
	if affinity := host.Affinity; affinity != nil {
		if affinity.PodAffinity != nil {
			if err := s.terms(affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
				affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, virtual); err != nil {
				return err
			}
		}
		if affinity.PodAntiAffinity != nil {
			if err := s.terms(affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
				affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, virtual); err != nil {
				return err
			}
		}
	}
	for i := range host.TopologySpreadConstraints {
		constraint := &host.TopologySpreadConstraints[i]
		selector := withLabelKeys(constraint.LabelSelector, virtual.Labels, constraint.MatchLabelKeys, metav1.LabelSelectorOpIn)
		constraint.LabelSelector = s.translator.HostLabelSelector(selector, []string{virtual.Namespace})
		constraint.MatchLabelKeys = nil
	}
	if err := rules.topologies(host); err != nil {
		return err
	}
	rules.byName(host)
	if virtual.Spec.NodeName != "" {
		// A pod that names its node would pass the host's scheduler by, taints
		// and resources included. It asks for the node instead.
		host.NodeName = ""
		restrictNode(host, corev1.NodeSelectorOpIn, virtual.Spec.NodeName)
	}
	if rules.place != "" {
		restrictNode(host, corev1.NodeSelectorOpIn, rules.place)
	}
	for _, node := range rules.avoid {
		restrictNode(host, corev1.NodeSelectorOpNotIn, node)
	}
	return rules.enforce(host)
}

// avoidedNodes names the nodes that somebody inside keeps the pod away from, by a
// cordon or a taint. The host's scheduler does not know of it. Whether a node is
// ready it knows better, and taints of the host it respects itself, with the tolerations
// that rules give to all pods.
func avoidedNodes(pod *corev1.Pod, nodes []*corev1.Node, ofHost func(*corev1.Node, *corev1.Taint) bool) []string {
	if pod.Spec.NodeName != "" {
		return nil // a scheduler is not asked
	}
	var avoided []string
	for _, node := range nodes {
		taints := slices.DeleteFunc(withReadiness(node.Spec.Taints, corev1.ConditionTrue), func(taint corev1.Taint) bool { return ofHost(node, &taint) })
		if node.Spec.Unschedulable {
			taints = append(taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
		}
		if slices.ContainsFunc(taints, func(taint corev1.Taint) bool { return keepsAway(pod, &taint) }) {
			avoided = append(avoided, node.Name)
		}
	}
	slices.Sort(avoided)
	return avoided
}

func keepsAway(pod *corev1.Pod, taint *corev1.Taint) bool {
	return taint.Effect != corev1.TaintEffectPreferNoSchedule && !slices.ContainsFunc(pod.Spec.Tolerations, func(toleration corev1.Toleration) bool {
		return toleration.ToleratesTaint(klog.Background(), taint, true)
	})
}

func (s scheduling) terms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, virtual *corev1.Pod) error {
	for i := range required {
		if err := s.term(&required[i], virtual); err != nil {
			return err
		}
	}
	for i := range preferred {
		if err := s.term(&preferred[i].PodAffinityTerm, virtual); err != nil {
			return err
		}
	}
	return nil
}

func (s scheduling) term(term *corev1.PodAffinityTerm, virtual *corev1.Pod) error {
	namespaces, err := s.meant(term, virtual.Namespace)
	if err != nil {
		return err
	}
	selector := withLabelKeys(term.LabelSelector, virtual.Labels, term.MatchLabelKeys, metav1.LabelSelectorOpIn)
	selector = withLabelKeys(selector, virtual.Labels, term.MismatchLabelKeys, metav1.LabelSelectorOpNotIn)
	term.LabelSelector = s.translator.HostLabelSelector(selector, namespaces)
	term.MatchLabelKeys, term.MismatchLabelKeys = nil, nil
	term.Namespaces, term.NamespaceSelector = nil, nil
	return nil
}

// meant lists the virtual namespaces that a term is about: those it names and
// those it selects, or else the pod's own. Nil means all, so that a namespace made later counts too.
func (s scheduling) meant(term *corev1.PodAffinityTerm, own string) ([]string, error) {
	if term.NamespaceSelector == nil {
		if len(term.Namespaces) == 0 {
			return []string{own}, nil
		}
		return term.Namespaces, nil
	}
	if len(term.NamespaceSelector.MatchLabels)+len(term.NamespaceSelector.MatchExpressions) == 0 {
		return nil, nil
	}
	selected, err := s.namespaces(term.NamespaceSelector)
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(term.Namespaces), selected...)
	slices.Sort(all)
	return append([]string{}, slices.Compact(all)...), nil
}

// withLabelKeys returns the selector narrowed to pods that have, or have not,
// the pod's own values of the keys. The API server inside may have written that
// into the selector already.
func withLabelKeys(selector *metav1.LabelSelector, labels map[string]string, keys []string, operator metav1.LabelSelectorOperator) *metav1.LabelSelector {
	if selector == nil || len(keys) == 0 {
		return selector
	}
	narrowed := selector.DeepCopy()
	for _, key := range keys {
		value, found := labels[key]
		present := slices.ContainsFunc(narrowed.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
			return r.Key == key && r.Operator == operator && slices.Equal(r.Values, []string{value})
		})
		if found && !present {
			narrowed.MatchExpressions = append(narrowed.MatchExpressions,
				metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: []string{value}})
		}
	}
	return narrowed
}

// restrictNode adds to every alternative of the pod's node affinity that it must, or
// must not, be the node.
func restrictNode(host *corev1.PodSpec, operator corev1.NodeSelectorOperator, node string) {
	requirement := named(operator, node)
	eachAlternative(host, func(term *corev1.NodeSelectorTerm) {
		known := slices.ContainsFunc(term.MatchFields, func(r corev1.NodeSelectorRequirement) bool {
			return r.Key == requirement.Key && r.Operator == requirement.Operator && slices.Equal(r.Values, requirement.Values)
		})
		if !known {
			term.MatchFields = append(term.MatchFields, requirement)
		}
	})
}

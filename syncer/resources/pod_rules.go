// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// podRules hold for all pods on the host. Nobody inside can change them.
type podRules struct{ tenancyv1.PodRules }

// images has the images of a pod come from where the rules say.
func (r podRules) images(spec *corev1.PodSpec) {
	if len(r.Images) == 0 {
		return
	}
	forEachContainer(spec, func(container *corev1.Container) { container.Image = r.image(container.Image) })
	for i := range spec.Volumes {
		if image := spec.Volumes[i].Image; image != nil {
			image.Reference = r.image(image.Reference)
		}
	}
}

// image is where an image comes from. A name that no kubelet can read stays what it is.
func (r podRules) image(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	from, to := "", ""
	for _, rule := range r.Images {
		if len(rule.From) > len(from) && (named.Name() == rule.From || strings.HasPrefix(named.Name(), rule.From+"/")) {
			from, to = rule.From, rule.To
		}
	}
	if from == "" {
		return name
	}
	// What a kubelet adds to a name without a tag, it adds to the other, too.
	return to + strings.TrimPrefix(named.String(), from)
}

// priorityClass is the class on the host that a rule gives to pods of a class inside.
func (r podRules) priorityClass(inside string) (string, bool) {
	for _, rule := range r.PriorityClasses {
		if rule.Name == inside {
			return rule.Host, true
		}
	}
	return "", false
}

// enforce has a pod run on the nodes that all pods are to run on. It comes last, when nothing
// that a tenant wrote on a node decides about a label any more.
func (r nodeRules) enforce(host *corev1.PodSpec) error {
	if len(r.required) > 0 {
		eachAlternative(host, func(term *corev1.NodeSelectorTerm) {
			term.MatchExpressions = append(term.MatchExpressions, r.required...)
		})
	}
	for _, key := range slices.Sorted(maps.Keys(r.selector)) {
		if asked, asks := host.NodeSelector[key]; asks && asked != r.selector[key] {
			return engine.Refuse(reasonForbidden, fmt.Sprintf(
				"spec.nodeSelector[%s] %q is refused: all pods of this virtual cluster run on nodes with another value; spec.syncer.pods of the VirtualCluster or spec.isolation.pods of the HostCluster sets it", key, asked))
		}
	}
	if len(r.selector) > 0 {
		host.NodeSelector = with(host.NodeSelector, r.selector)
	}
	for _, toleration := range r.tolerations {
		if !tolerates(host.Tolerations, toleration) {
			host.Tolerations = append(host.Tolerations, toleration)
		}
	}
	return nil
}

// with returns values with others laid over them, and changes neither.
func with(values, above map[string]string) map[string]string {
	if len(above) == 0 {
		return values
	}
	merged := maps.Clone(above)
	for key, value := range values {
		if _, known := above[key]; !known {
			merged[key] = value
		}
	}
	return merged
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import corev1 "k8s.io/api/core/v1"

// PodRules hold for all pods of a virtual cluster, as they are on the host. A change holds for
// pods that are made from then on; labels and annotations come to those that run, too.
type PodRules struct {
	// images have images come from other places, such as a mirror. The longest from that
	// matches decides.
	Images []ImageRule
	// nodeSelector has pods run on nodes of the host with these labels, whatever they ask for themselves.
	NodeSelector map[string]string
	// tolerations are added to those of the pods.
	Tolerations []corev1.Toleration
	// runtimeClassName is the RuntimeClass of the host that pods run with, whatever they ask for themselves.
	RuntimeClassName string
	// priorityClasses give pods a PriorityClass of the host, by the class that they have inside.
	PriorityClasses []PriorityClassRule
	// labels are those of the pods on the host, besides the syncer's, such as those of an account for costs.
	Labels map[string]string
	// annotations are those of the pods on the host, besides the syncer's.
	Annotations map[string]string
}

// ImageRule has images come from another place.
type ImageRule struct {
	// from is a registry, such as docker.io, or a registry with the beginning of a path, such as docker.io/library.
	From string
	// to takes the place of from.
	To string
}

// PriorityClassRule gives pods a PriorityClass of the host.
type PriorityClassRule struct {
	// name of the PriorityClass inside.
	Name string
	// host is the name of the PriorityClass on the host.
	Host string
}

// AllowedPodRules are the rules that only apply where the host's administrator allows them. All
// others lend nothing that pods could not ask for themselves.
type AllowedPodRules struct {
	// labels are the keys that spec.syncer.pods.labels of a virtual cluster may have. A * at the end of a key stands for any end.
	Labels []string
	// annotations are the keys that spec.syncer.pods.annotations may have, in the same form.
	Annotations []string
	// priorityClasses are the PriorityClasses of the host that spec.syncer.pods.priorityClasses may give to pods.
	PriorityClasses []string
}

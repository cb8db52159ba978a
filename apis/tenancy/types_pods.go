// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import corev1 "k8s.io/api/core/v1"

// PodRules apply to all pods of a virtual cluster, on the host. A change applies to pods
// created from then on; labels and annotations also reach running pods.
type PodRules struct {
	// images replaces the registries of images, for example with a mirror. The longest matching
	// from decides.
	Images []ImageRule
	// nodeSelector makes pods run on nodes of the host with these labels, whatever they ask for
	// themselves.
	NodeSelector map[string]string
	// tolerations are added to the tolerations of the pods.
	Tolerations []corev1.Toleration
	// runtimeClassName is the host's RuntimeClass for all pods, whatever they ask for
	// themselves.
	RuntimeClassName string
	// priorityClasses give pods a PriorityClass of the host, depending on their class inside.
	PriorityClasses []PriorityClassRule
	// labels are added to the pods on the host, for example to account for costs.
	Labels map[string]string
	// annotations are added to the pods on the host.
	Annotations map[string]string
}

// ImageRule replaces the registry of images.
type ImageRule struct {
	// from is a registry, such as docker.io, or a registry with the beginning of a path, such as docker.io/library.
	From string
	// to replaces from.
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
// other rules give nothing that pods could not ask for themselves.
type AllowedPodRules struct {
	// labels are the keys that spec.syncer.pods.labels of a virtual cluster may have. A * at
	// the end of a key stands for any ending.
	Labels []string
	// annotations are the keys that spec.syncer.pods.annotations may have, in the same form.
	Annotations []string
	// priorityClasses are the PriorityClasses of the host that spec.syncer.pods.priorityClasses may give to pods.
	PriorityClasses []string
}

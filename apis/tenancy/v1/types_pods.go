// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import corev1 "k8s.io/api/core/v1"

// PodRules apply to all pods of a virtual cluster, on the host. A change applies to pods
// created from then on; labels and annotations also reach running pods.
type PodRules struct {
	// images replaces the registries of images, for example with a mirror. The longest matching
	// from decides.
	// +optional
	// +listType=map
	// +listMapKey=from
	// +patchStrategy=merge
	// +patchMergeKey=from
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=from
	// +k8s:maxItems=64
	Images []ImageRule `json:"images,omitempty" patchStrategy:"merge" patchMergeKey:"from"`
	// nodeSelector makes pods run on nodes of the host with these labels, whatever they ask for
	// themselves.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// tolerations are added to the tolerations of the pods.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:eachVal=+k8s:opaqueType
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// runtimeClassName is the host's RuntimeClass for all pods, whatever they ask for
	// themselves.
	// +optional
	RuntimeClassName string `json:"runtimeClassName,omitempty"`
	// priorityClasses give pods a PriorityClass of the host, depending on their class inside.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +patchStrategy=merge
	// +patchMergeKey=name
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=name
	// +k8s:maxItems=64
	PriorityClasses []PriorityClassRule `json:"priorityClasses,omitempty" patchStrategy:"merge" patchMergeKey:"name"`
	// labels are added to the pods on the host, for example to account for costs.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Labels map[string]string `json:"labels,omitempty"`
	// annotations are added to the pods on the host.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ImageRule replaces the registry of images.
type ImageRule struct {
	// from is a registry, such as docker.io, or a registry with the beginning of a path, such as docker.io/library.
	From string `json:"from"`
	// to replaces from.
	To string `json:"to"`
}

// PriorityClassRule gives pods a PriorityClass of the host.
type PriorityClassRule struct {
	// name of the PriorityClass inside.
	Name string `json:"name"`
	// host is the name of the PriorityClass on the host.
	Host string `json:"host"`
}

// AllowedPodRules are the rules that only apply where the host's administrator allows them. All
// other rules give nothing that pods could not ask for themselves.
type AllowedPodRules struct {
	// labels are the keys that spec.syncer.pods.labels of a virtual cluster may have. A * at
	// the end of a key stands for any ending.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	Labels []string `json:"labels,omitempty"`
	// annotations are the keys that spec.syncer.pods.annotations may have, in the same form.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	Annotations []string `json:"annotations,omitempty"`
	// priorityClasses are the PriorityClasses of the host that spec.syncer.pods.priorityClasses may give to pods.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	PriorityClasses []string `json:"priorityClasses,omitempty"`
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	corev1 "k8s.io/api/core/v1"
)

// PodSecurityLevel is a level of the Pod Security Standards.
// +enum
// +k8s:enum
type PodSecurityLevel string

const (
	// PodSecurityPrivileged allows whatever the host allows. It needs the verb use on
	// podsecuritylevels/privileged of tenancy.garret.dev, in the namespace.
	PodSecurityPrivileged PodSecurityLevel = "privileged"
	// PodSecurityBaseline forbids what is known to give power over the node.
	PodSecurityBaseline PodSecurityLevel = "baseline"
	// PodSecurityRestricted also enforces good practice.
	PodSecurityRestricted PodSecurityLevel = "restricted"
)

// IsolationSpec limits what a virtual cluster does on its host.
type IsolationSpec struct {
	// podSecurity is the level of the Pod Security Standards that the syncer enforces on pods,
	// whatever the labels of the host namespace say: privileged, baseline or restricted.
	// Whoever sets privileged needs the verb use on it. Defaults to baseline.
	// +optional
	// +k8s:optional
	PodSecurity PodSecurityLevel `json:"podSecurity,omitempty"`
	// networkPolicy says what the pods of the virtual cluster, and its control plane, may reach.
	// +optional
	NetworkPolicy NetworkIsolation `json:"networkPolicy,omitempty"`
	// deniedAnnotations are keys of annotations that the syncer does not copy to the host, even
	// where the HostCluster allows them. A * at the end of a key stands for any ending.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	DeniedAnnotations []string `json:"deniedAnnotations,omitempty"`
	// quota is how much the virtual cluster may use of the host. The syncer enforces it before
	// it asks the host, for this virtual cluster only.
	// +optional
	Quota QuotaSpec `json:"quota,omitempty"`
	// resourceQuota is a ResourceQuota that Garret creates in the host namespace. It counts
	// everything in the namespace. Whoever sets it needs the right to create resourcequotas
	// there.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	ResourceQuota *corev1.ResourceQuotaSpec `json:"resourceQuota,omitempty"`
	// limitRange is a LimitRange that Garret creates in the host namespace. It applies to
	// everything in the namespace. Whoever sets it needs the right to create limitranges there.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	LimitRange *corev1.LimitRangeSpec `json:"limitRange,omitempty"`
}

// NetworkIsolation is what the pods of a virtual cluster may reach.
type NetworkIsolation struct {
	// enabled deploys NetworkPolicies. With them, the pods of the virtual cluster reach only
	// each other, DNS and their own API. The host's network has to enforce them. Defaults to
	// true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// publicEgress lets pods reach public addresses, too. Defaults to true.
	// +optional
	PublicEgress *bool `json:"publicEgress,omitempty"`
}

// QuotaSpec is how much a virtual cluster may use of the host.
type QuotaSpec struct {
	// hard is the limit for each resource, under the names of a ResourceQuota: pods,
	// requests.cpu, requests.memory, requests.ephemeral-storage, limits.cpu, limits.memory,
	// limits.ephemeral-storage, requests.storage, persistentvolumeclaims, services,
	// services.nodeports, services.loadbalancers, configmaps, secrets. Other resources have no
	// limit of their own.
	// +optional
	// +k8s:opaqueType
	Hard corev1.ResourceList `json:"hard,omitempty"`
}

// QuotaStatus is how much of its quota a virtual cluster has used.
type QuotaStatus struct {
	// hard is the quota that the syncer enforces.
	// +optional
	// +k8s:opaqueType
	Hard corev1.ResourceList `json:"hard,omitempty"`
	// used is how much the virtual cluster uses of the host, for each name in hard.
	// +optional
	// +k8s:opaqueType
	Used corev1.ResourceList `json:"used,omitempty"`
}

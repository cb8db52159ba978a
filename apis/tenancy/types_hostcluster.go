// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostCluster is a cluster that virtual clusters run on. The one called local,
// which Garret itself runs on, is always there.
type HostCluster struct {
	metav1.TypeMeta
	// metadata is the standard object metadata.
	metav1.ObjectMeta
	// spec is what holds for virtual clusters on this host cluster.
	Spec HostClusterSpec
	// status is what Garret observed last.
	Status HostClusterStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostClusterList is a list of host clusters.
type HostClusterList struct {
	metav1.TypeMeta
	// metadata is the standard list metadata.
	metav1.ListMeta
	// items are the host clusters.
	Items []HostCluster
}

// HostClusterSpec is what holds for virtual clusters on a host cluster.
type HostClusterSpec struct {
	// defaultTemplateRef names the template of virtual clusters that name none.
	// It goes before the template that is marked as default.
	DefaultTemplateRef *LocalTemplateReference
	// maxVirtualClusters is how many virtual clusters there may be on the host
	// cluster. No limit when not set. Those that are there already stay.
	MaxVirtualClusters *int32
}

// LocalTemplateReference names a VirtualClusterTemplate.
type LocalTemplateReference struct {
	// name of the template.
	Name string
	// version of the template; the highest that is no pre-release when not set.
	Version string
}

// HostClusterStatus is the observed state of a host cluster.
type HostClusterStatus struct {
	// conditions has Ready, which is true while Garret can deploy to the host cluster.
	Conditions []metav1.Condition
	// observedGeneration is the generation that the controller acted on last.
	ObservedGeneration int64
	// kubernetesVersion is what the API server of the host cluster calls itself.
	KubernetesVersion string
	// virtualClusters is how many virtual clusters there are on the host cluster.
	VirtualClusters int32
}

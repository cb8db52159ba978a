// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +genclient
// +genclient:method=CreateKubeconfig,verb=create,subresource=kubeconfig,input=KubeconfigRequest,result=KubeconfigRequest
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualCluster is a whole Kubernetes cluster that runs inside one namespace
// of the host cluster.
type VirtualCluster struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	// +k8s:opaqueType
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the owner asks for.
	// +optional
	Spec VirtualClusterSpec `json:"spec,omitempty"`
	// status is what Garret observed last.
	// +optional
	Status VirtualClusterStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterList is a list of virtual clusters.
type VirtualClusterList struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	// +k8s:opaqueType
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the virtual clusters.
	Items []VirtualCluster `json:"items"`
}

// VirtualClusterSpec is the desired state of a virtual cluster.
type VirtualClusterSpec struct {
	// templateRef names the template to create the virtual cluster from. When it is not set,
	// garret-apiserver uses the default template, if there is one. A reference without a name
	// means no template.
	// +optional
	// +k8s:optional
	TemplateRef *TemplateReference `json:"templateRef,omitempty"`
	// hostClusterRef names the host cluster that runs the virtual cluster. Immutable. Defaults to local.
	// +optional
	HostClusterRef HostClusterReference `json:"hostClusterRef,omitempty"`
	// kubernetes says which Kubernetes runs inside.
	// +optional
	Kubernetes KubernetesSpec `json:"kubernetes,omitempty"`
	// controlPlane says how the control plane runs on the host.
	// +optional
	ControlPlane ControlPlaneSpec `json:"controlPlane,omitempty"`
	// syncer configures the syncer, which copies objects between the virtual cluster and the
	// host.
	// +optional
	Syncer SyncerSpec `json:"syncer,omitempty"`
	// dns says how the DNS inside answers names.
	// +optional
	DNS DNSSpec `json:"dns,omitempty,omitzero"`
	// access gives rights inside to users and groups of the host, besides those
	// that follow from their permissions on the virtual cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Access []AccessRule `json:"access,omitempty"`
	// kubeconfigSecret makes the syncer keep a kubeconfig in a Secret of the namespace, for
	// tools on the host such as Argo CD, Flux and Cluster API. Removing the field deletes the
	// Secret. Whoever sets it needs the rights to create virtualclusters/kubeconfig and secrets
	// there.
	// +optional
	// +k8s:optional
	KubeconfigSecret *KubeconfigSecret `json:"kubeconfigSecret,omitempty"`
	// isolation says what pods of the virtual cluster may request, what they may connect to,
	// and how much the virtual cluster may use of the host.
	// +optional
	Isolation IsolationSpec `json:"isolation,omitempty"`
	// paused puts the virtual cluster to sleep: neither its control plane nor its pods run on
	// the host, and all its objects are kept. It wakes when paused is false again.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// sleep says when Garret puts the virtual cluster to sleep, wakes it and deletes it without
	// being asked.
	// +optional
	Sleep SleepSpec `json:"sleep,omitempty,omitzero"`
	// deletionProtection prevents the deletion of the virtual cluster until it is false again.
	// +optional
	DeletionProtection bool `json:"deletionProtection,omitempty"`
	// helm sets advanced values of the chart that deploys the control plane.
	// +optional
	Helm HelmSpec `json:"helm,omitempty"`
}

// TemplateReference names the template to create a virtual cluster from.
type TemplateReference struct {
	// name of the VirtualClusterTemplate; empty for none, not even the default one.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-long-name
	Name string `json:"name,omitempty"`
	// version of the template; defaults to the highest one that is not a pre-release.
	// +optional
	Version string `json:"version,omitempty"`
	// parameters are the values of the template's parameters.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +patchStrategy=merge
	// +patchMergeKey=name
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=name
	// +k8s:maxItems=64
	Parameters []TemplateParameterValue `json:"parameters,omitempty" patchStrategy:"merge" patchMergeKey:"name"`
	// sync applies later changes of the template to this virtual cluster. Otherwise Garret
	// applies the template once, when the virtual cluster is created.
	// +optional
	Sync bool `json:"sync,omitempty"`
}

// TemplateParameterValue is the value of one parameter of a template.
type TemplateParameterValue struct {
	// name of the parameter.
	// +k8s:required
	Name string `json:"name"`
	// value of the parameter, written as a string whatever its type.
	Value string `json:"value"`
}

// HostClusterReference names a host cluster.
type HostClusterReference struct {
	// name of the HostCluster.
	// +optional
	// +k8s:optional
	// +k8s:immutable
	Name string `json:"name,omitempty"`
}

// AccessRule gives users and groups of the host the rights of a ClusterRole inside.
type AccessRule struct {
	// users of the host, named as the host names them. A service account is
	// system:serviceaccount:NAMESPACE:NAME.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=512
	Users []string `json:"users,omitempty"`
	// groups of the host, named as the host names them.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=512
	Groups []string `json:"groups,omitempty"`
	// clusterRole is the name of a ClusterRole inside the virtual cluster. Garret grants it in
	// all namespaces.
	// +k8s:required
	// +k8s:format=k8s-path-segment-name
	// +k8s:maxLength=253
	ClusterRole string `json:"clusterRole"`
}

// KubeconfigFormat says how a Secret holds a kubeconfig.
// +enum
// +k8s:enum
type KubeconfigFormat string

const (
	// KubeconfigFormatKubeconfig has a kubeconfig under the key kubeconfig.
	KubeconfigFormatKubeconfig KubeconfigFormat = "Kubeconfig"
	// KubeconfigFormatArgoCD has the keys and the label by which Argo CD finds clusters.
	KubeconfigFormatArgoCD KubeconfigFormat = "ArgoCD"
	// KubeconfigFormatFlux has a kubeconfig under the key value.
	KubeconfigFormatFlux KubeconfigFormat = "Flux"
	// KubeconfigFormatClusterAPI has a kubeconfig under the key value, and the type and the
	// label of Cluster API. The Secret's name is that of the Cluster and -kubeconfig.
	KubeconfigFormatClusterAPI KubeconfigFormat = "ClusterAPI"
)

// KubeconfigSecret is a Secret with a kubeconfig that the syncer renews.
type KubeconfigSecret struct {
	// name of the Secret, in the namespace of the virtual cluster. The syncer never changes a
	// Secret of that name that belongs to something else.
	// +k8s:required
	// +k8s:format=k8s-long-name
	Name string `json:"name"`
	// format is how the Secret holds the kubeconfig: Kubeconfig, ArgoCD, Flux or ClusterAPI.
	// Defaults to Kubeconfig.
	// +optional
	// +k8s:optional
	Format KubeconfigFormat `json:"format,omitempty"`
	// clusterRole is the name of a ClusterRole inside. The kubeconfig has its rights, and no
	// others. There is no default.
	// +k8s:required
	// +k8s:format=k8s-path-segment-name
	// +k8s:maxLength=253
	ClusterRole string `json:"clusterRole"`
}

// Distro names a distribution of Kubernetes that a control plane can run.
// +enum
// +k8s:enum
type Distro string

const (
	// DistroK3s runs the image of the k3s project.
	DistroK3s Distro = "k3s"
	// DistroK8s runs Garret's own image of upstream Kubernetes.
	DistroK8s Distro = "k8s"
)

// KubernetesSpec says which Kubernetes runs inside.
type KubernetesSpec struct {
	// distro is the distribution of the control plane: k3s or k8s. Immutable. Defaults to k3s.
	// +optional
	// +k8s:optional
	Distro Distro `json:"distro,omitempty"`
	// version is the Kubernetes version inside, such as v1.37.2. You can raise it by one minor
	// at a time, and never lower it. Defaults to the newest version that this release of Garret
	// knows.
	// +optional
	Version string `json:"version,omitempty"`
	// extraArgs are further flags for the control plane's server command, each in the form
	// --name=value. Only flags that tune it are allowed: no flag may change who has access,
	// where data is stored or what it listens on.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=4096
	ExtraArgs []string `json:"extraArgs,omitempty"`
}

// ControlPlaneSpec says how the control plane runs on the host.
type ControlPlaneSpec struct {
	// resources are the compute resources of the control plane container. CPU and memory
	// default to requests of 20m and 256Mi, and to limits of 2 and 2Gi, or to the request
	// where that is higher.
	// +optional
	// +k8s:opaqueType
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	// storage says where the control plane keeps its data.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// datastore replaces the embedded datastore with an external one.
	// +optional
	// +k8s:optional
	Datastore *DatastoreSpec `json:"datastore,omitempty"`
}

// StorageRetention says what happens to the volumes of a deleted virtual cluster.
// +enum
// +k8s:enum
type StorageRetention string

const (
	// RetentionDelete deletes the volumes with the virtual cluster.
	RetentionDelete StorageRetention = "Delete"
	// RetentionRetain keeps the volume claims when the virtual cluster is deleted.
	RetentionRetain StorageRetention = "Retain"
)

// StorageSpec says where the control plane keeps its data.
type StorageSpec struct {
	// persistent keeps the data on a PersistentVolume, which outlives the pod. Immutable.
	// Defaults to true.
	// +optional
	Persistent *bool `json:"persistent,omitempty"`
	// size of the volume. Defaults to 5Gi. The embedded database of the distro k8s refuses
	// writes beyond two fifths of it.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
	// storageClassName of the volume; defaults to the host's default class. Immutable.
	// +optional
	// +k8s:optional
	StorageClassName *string `json:"storageClassName,omitempty"`
	// whenDeleted says what happens to the control plane's volume claim, and to those of
	// workloads, when the virtual cluster is deleted: Delete or Retain. Defaults to Delete.
	// +optional
	// +k8s:optional
	WhenDeleted StorageRetention `json:"whenDeleted,omitempty"`
}

// DatastoreSpec is an external datastore.
type DatastoreSpec struct {
	// endpointSecretRef names a Secret in the same namespace. Its key "endpoint" holds the
	// address of the datastore: postgres://, mysql://, or https:// of an etcd cluster. The keys
	// "ca.crt", "tls.crt" and "tls.key" are optional.
	// +k8s:opaqueType
	EndpointSecretRef corev1.LocalObjectReference `json:"endpointSecretRef"`
}

// HelmSpec sets advanced values of the chart.
type HelmSpec struct {
	// values override the chart's values, and all others. The chart's schema lists them. None
	// of them can extend what the virtual cluster may do on the host.
	// +optional
	// +patchStrategy=replace
	Values *runtime.RawExtension `json:"values,omitempty" patchStrategy:"replace"`
}

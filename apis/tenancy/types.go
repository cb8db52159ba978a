// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualCluster is a whole Kubernetes cluster that runs inside one namespace
// of the host cluster.
type VirtualCluster struct {
	metav1.TypeMeta
	// metadata is the standard object metadata.
	metav1.ObjectMeta
	// spec is what the owner asks for.
	Spec VirtualClusterSpec
	// status is what Garret observed last.
	Status VirtualClusterStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterList is a list of virtual clusters.
type VirtualClusterList struct {
	metav1.TypeMeta
	// metadata is the standard list metadata.
	metav1.ListMeta
	// items are the virtual clusters.
	Items []VirtualCluster
}

// VirtualClusterSpec is the desired state of a virtual cluster.
type VirtualClusterSpec struct {
	// templateRef names the template that the virtual cluster is made from. When it is
	// not set, the default template is used if there is one; a reference
	// without a name stands for none.
	TemplateRef *TemplateReference
	// hostClusterRef names the host cluster that runs the virtual cluster. Immutable. Defaults to local.
	HostClusterRef HostClusterReference
	// kubernetes says which Kubernetes runs inside.
	Kubernetes KubernetesSpec
	// controlPlane says how the control plane is run on the host.
	ControlPlane ControlPlaneSpec
	// syncer configures what carries objects between the virtual cluster and the host.
	Syncer SyncerSpec
	// dns says what names lead to inside.
	DNS DNSSpec
	// access gives rights inside to users and groups of the host, besides those
	// that follow from their permissions on the virtual cluster.
	Access []AccessRule
	// kubeconfigSecret has the syncer keep a kubeconfig in a Secret of the namespace, for
	// tools on the host such as Argo CD, Flux and Cluster API. Removing it deletes the Secret.
	// Who sets it needs the right to create virtualclusters/kubeconfig and secrets there.
	KubeconfigSecret *KubeconfigSecret
	// isolation says what pods of the virtual cluster may ask for, whom they may speak
	// to, and how much the virtual cluster may hold on the host.
	Isolation IsolationSpec
	// paused puts the virtual cluster to sleep: neither its control plane nor its pods run on
	// the host, and everything inside is kept. It wakes when paused is false again.
	Paused bool
	// sleep says when the virtual cluster falls asleep, wakes and is deleted by itself.
	Sleep SleepSpec
	// deletionProtection refuses to delete the virtual cluster until it is false again.
	DeletionProtection bool
	// helm gives access to the advanced values of the chart that deploys the control plane.
	Helm HelmSpec
}

// TemplateReference names the template that a virtual cluster is made from.
type TemplateReference struct {
	// name of the VirtualClusterTemplate; empty for none, not even the default one.
	Name string
	// version of the template; the highest that is no pre-release when not set.
	Version string
	// parameters are the values of the template's parameters.
	Parameters []TemplateParameterValue
	// sync lets later changes of the template reach this virtual cluster.
	// Otherwise the template is applied once, when the virtual cluster is created.
	Sync bool
}

// TemplateParameterValue is the value of one parameter of a template.
type TemplateParameterValue struct {
	// name of the parameter.
	Name string
	// value of the parameter, written as a string whatever its type.
	Value string
}

// HostClusterReference names a host cluster.
type HostClusterReference struct {
	// name of the HostCluster.
	Name string
}

// AccessRule gives users and groups of the host the rights of a ClusterRole inside.
type AccessRule struct {
	// users of the host, named as the host names them. A service account is
	// system:serviceaccount:NAMESPACE:NAME.
	Users []string
	// groups of the host, named as the host names them.
	Groups []string
	// clusterRole is the name of a ClusterRole inside the virtual cluster. It is
	// granted in all namespaces of it.
	ClusterRole string
}

// KubeconfigFormat says how a Secret holds a kubeconfig.
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
	// name of the Secret, in the namespace of the virtual cluster. A Secret of that name
	// that is not the virtual cluster's own is left alone.
	Name string
	// format is how the Secret holds the kubeconfig: Kubeconfig, ArgoCD, Flux or ClusterAPI.
	// Defaults to Kubeconfig.
	Format KubeconfigFormat
	// clusterRole is the name of the ClusterRole inside whose rights the kubeconfig has, and
	// no others. There is no default.
	ClusterRole string
}

// Distro names a distribution of Kubernetes that a control plane can run.
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
	Distro Distro
	// version is the Kubernetes version inside, such as v1.37.2. It can be raised, by one minor at a time, and never lowered.
	// Defaults to the newest version that this release of Garret knows.
	Version string
	// extraArgs are further flags for the control plane's server command, each in
	// the form --name=value. Those that tune it can be given; who may enter, where
	// data lies and what is listened on is not said here.
	ExtraArgs []string
}

// ControlPlaneSpec says how the control plane is run on the host.
type ControlPlaneSpec struct {
	// resources are the compute resources of the control plane container. What is not
	// given of CPU and memory has defaults: requests of 100m and 256Mi, limits of 2 and
	// 2Gi, or of the request where that is higher.
	Resources corev1.ResourceRequirements
	// storage is where the control plane keeps its data.
	Storage StorageSpec
	// datastore replaces the embedded datastore by an external one.
	Datastore *DatastoreSpec
}

// StorageRetention says what becomes of a control plane's volume.
type StorageRetention string

const (
	// RetentionDelete removes the volumes with the virtual cluster.
	RetentionDelete StorageRetention = "Delete"
	// RetentionRetain keeps the volume claims when the virtual cluster is deleted.
	RetentionRetain StorageRetention = "Retain"
)

// StorageSpec is where the control plane keeps its data.
type StorageSpec struct {
	// persistent keeps the data on a PersistentVolume, so that it outlives the
	// pod. Immutable. Defaults to true.
	Persistent *bool
	// size of the volume. Defaults to 5Gi. The embedded database of distro k8s may have
	// two fifths of it, and refuses writes beyond.
	Size *resource.Quantity
	// storageClassName of the volume; the host's default class when not set. Immutable.
	StorageClassName *string
	// whenDeleted says what becomes of the volume claim when the virtual
	// cluster is deleted: Delete or Retain. Defaults to Delete.
	WhenDeleted StorageRetention
}

// DatastoreSpec is an external datastore.
type DatastoreSpec struct {
	// endpointSecretRef names a Secret in the same namespace whose key
	// "endpoint" holds the address of the datastore (postgres://, mysql:// or
	// https:// of an etcd cluster), with the optional keys "ca.crt", "tls.crt" and "tls.key".
	EndpointSecretRef corev1.LocalObjectReference
}

// PodSecurityLevel is a level of the Pod Security Standards.
type PodSecurityLevel string

const (
	// PodSecurityPrivileged allows whatever the host allows. It needs the verb use on
	// podsecuritylevels/privileged of tenancy.garret.dev, in the namespace.
	PodSecurityPrivileged PodSecurityLevel = "privileged"
	// PodSecurityBaseline allows what gives no known power over the node.
	PodSecurityBaseline PodSecurityLevel = "baseline"
	// PodSecurityRestricted asks for what is good practice, too.
	PodSecurityRestricted PodSecurityLevel = "restricted"
)

// IsolationSpec bounds what a virtual cluster does on its host.
type IsolationSpec struct {
	// podSecurity is the level of the Pod Security Standards that the syncer holds
	// pods to, whatever the labels of the host namespace say: privileged,
	// baseline or restricted. Who sets privileged needs the verb use on it. Defaults to baseline.
	PodSecurity PodSecurityLevel
	// networkPolicy says what the pods of the virtual cluster, and its control plane, may reach.
	NetworkPolicy NetworkIsolation
	// deniedAnnotations are keys of annotations that do not reach the host, although the
	// HostCluster allows them. A * at the end of a key stands for any end.
	DeniedAnnotations []string
	// quota is how much the virtual cluster may hold on the host. The syncer enforces
	// it before it asks the host, for this virtual cluster alone.
	Quota QuotaSpec
	// resourceQuota is a ResourceQuota that is deployed into the host namespace, for
	// all that there is in it. Who sets it needs the right to create resourcequotas there.
	ResourceQuota *corev1.ResourceQuotaSpec
	// limitRange is a LimitRange that is deployed into the host namespace, for all
	// that there is in it. Who sets it needs the right to create limitranges there.
	LimitRange *corev1.LimitRangeSpec
}

// NetworkIsolation is what the pods of a virtual cluster may reach.
type NetworkIsolation struct {
	// enabled deploys NetworkPolicies that keep the pods of the virtual cluster to each
	// other, to DNS and to their own API. The host's network has to enforce them. Defaults to true.
	Enabled *bool
	// publicEgress lets them reach public addresses, too. Defaults to true.
	PublicEgress *bool
}

// QuotaSpec is how much a virtual cluster may hold on the host.
type QuotaSpec struct {
	// hard is the most of each resource, under the names of a ResourceQuota: pods,
	// requests.cpu, requests.memory, requests.ephemeral-storage, limits.cpu,
	// limits.memory, limits.ephemeral-storage, requests.storage, persistentvolumeclaims,
	// services, services.nodeports, services.loadbalancers, configmaps, secrets.
	// What is not named has no limit of its own.
	Hard corev1.ResourceList
}

// QuotaStatus is how much of its quota a virtual cluster has used.
type QuotaStatus struct {
	// hard is the quota that the syncer enforces.
	Hard corev1.ResourceList
	// used is what the virtual cluster holds on the host, for each name in hard.
	Used corev1.ResourceList
}

// HelmSpec gives access to the advanced values of the chart.
type HelmSpec struct {
	// values are merged last over the chart's values. The chart's schema says
	// which there are; nothing in them can widen what the virtual cluster may do on the host.
	Values *runtime.RawExtension
}

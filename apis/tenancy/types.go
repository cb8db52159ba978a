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
	// templateRef names the template to create the virtual cluster from. When it is not set,
	// garret-apiserver uses the default template, if there is one. A reference without a name
	// means no template.
	TemplateRef *TemplateReference
	// hostClusterRef names the host cluster that runs the virtual cluster. Immutable. Defaults to local.
	HostClusterRef HostClusterReference
	// kubernetes says which Kubernetes runs inside.
	Kubernetes KubernetesSpec
	// controlPlane says how the control plane runs on the host.
	ControlPlane ControlPlaneSpec
	// syncer configures the syncer, which copies objects between the virtual cluster and the
	// host.
	Syncer SyncerSpec
	// dns says how the DNS inside answers names.
	DNS DNSSpec
	// access gives rights inside to users and groups of the host, besides those
	// that follow from their permissions on the virtual cluster.
	Access []AccessRule
	// kubeconfigSecret makes the syncer keep a kubeconfig in a Secret of the namespace, for
	// tools on the host such as Argo CD, Flux and Cluster API. Removing the field deletes the
	// Secret. Whoever sets it needs the rights to create virtualclusters/kubeconfig and secrets
	// there.
	KubeconfigSecret *KubeconfigSecret
	// isolation says what pods of the virtual cluster may request, what they may connect to,
	// and how much the virtual cluster may use of the host.
	Isolation IsolationSpec
	// paused puts the virtual cluster to sleep: neither its control plane nor its pods run on
	// the host, and all its objects are kept. It wakes when paused is false again.
	Paused bool
	// sleep says when Garret puts the virtual cluster to sleep, wakes it and deletes it without
	// being asked.
	Sleep SleepSpec
	// deletionProtection prevents the deletion of the virtual cluster until it is false again.
	DeletionProtection bool
	// helm sets advanced values of the chart that deploys the control plane.
	Helm HelmSpec
}

// TemplateReference names the template to create a virtual cluster from.
type TemplateReference struct {
	// name of the VirtualClusterTemplate; empty for none, not even the default one.
	Name string
	// version of the template; defaults to the highest one that is not a pre-release.
	Version string
	// parameters are the values of the template's parameters.
	Parameters []TemplateParameterValue
	// sync applies later changes of the template to this virtual cluster. Otherwise Garret
	// applies the template once, when the virtual cluster is created.
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
	// clusterRole is the name of a ClusterRole inside the virtual cluster. Garret grants it in
	// all namespaces.
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
	// name of the Secret, in the namespace of the virtual cluster. The syncer never changes a
	// Secret of that name that belongs to something else.
	Name string
	// format is how the Secret holds the kubeconfig: Kubeconfig, ArgoCD, Flux or ClusterAPI.
	// Defaults to Kubeconfig.
	Format KubeconfigFormat
	// clusterRole is the name of a ClusterRole inside. The kubeconfig has its rights, and no
	// others. There is no default.
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
	// version is the Kubernetes version inside, such as v1.37.2. You can raise it by one minor
	// at a time, and never lower it. Defaults to the newest version that this release of Garret
	// knows.
	Version string
	// extraArgs are further flags for the control plane's server command, each in the form
	// --name=value. Only flags that tune it are allowed: no flag may change who has access,
	// where data is stored or what it listens on.
	ExtraArgs []string
}

// ControlPlaneSpec says how the control plane runs on the host.
type ControlPlaneSpec struct {
	// resources are the compute resources of the control plane container. CPU and memory
	// default to requests of 20m and 256Mi, and to limits of 2 and 2Gi, or to the request
	// where that is higher.
	Resources corev1.ResourceRequirements
	// storage says where the control plane keeps its data.
	Storage StorageSpec
	// datastore replaces the embedded datastore with an external one.
	Datastore *DatastoreSpec
}

// StorageRetention says what happens to the volumes of a deleted virtual cluster.
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
	Persistent *bool
	// size of the volume. Defaults to 5Gi. The embedded database of the distro k8s refuses
	// writes beyond two fifths of it.
	Size *resource.Quantity
	// storageClassName of the volume; defaults to the host's default class. Immutable.
	StorageClassName *string
	// whenDeleted says what becomes of the volume claim when the virtual
	// cluster is deleted: Delete or Retain. Defaults to Delete.
	WhenDeleted StorageRetention
}

// DatastoreSpec is an external datastore.
type DatastoreSpec struct {
	// endpointSecretRef names a Secret in the same namespace. Its key "endpoint" holds the
	// address of the datastore: postgres://, mysql://, or https:// of an etcd cluster. The keys
	// "ca.crt", "tls.crt" and "tls.key" are optional.
	EndpointSecretRef corev1.LocalObjectReference
}

// PodSecurityLevel is a level of the Pod Security Standards.
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
	PodSecurity PodSecurityLevel
	// networkPolicy says what the pods of the virtual cluster, and its control plane, may reach.
	NetworkPolicy NetworkIsolation
	// deniedAnnotations are keys of annotations that the syncer does not copy to the host, even
	// where the HostCluster allows them. A * at the end of a key stands for any ending.
	DeniedAnnotations []string
	// quota is how much the virtual cluster may use of the host. The syncer enforces it before
	// it asks the host, for this virtual cluster only.
	Quota QuotaSpec
	// resourceQuota is a ResourceQuota that Garret creates in the host namespace. It counts
	// everything in the namespace. Whoever sets it needs the right to create resourcequotas
	// there.
	ResourceQuota *corev1.ResourceQuotaSpec
	// limitRange is a LimitRange that Garret creates in the host namespace. It applies to
	// everything in the namespace. Whoever sets it needs the right to create limitranges there.
	LimitRange *corev1.LimitRangeSpec
}

// NetworkIsolation is what the pods of a virtual cluster may reach.
type NetworkIsolation struct {
	// enabled deploys NetworkPolicies. With them, the pods of the virtual cluster reach only
	// each other, DNS and their own API. The host's network has to enforce them. Defaults to
	// true.
	Enabled *bool
	// publicEgress lets pods reach public addresses, too. Defaults to true.
	PublicEgress *bool
}

// QuotaSpec is how much a virtual cluster may use of the host.
type QuotaSpec struct {
	// hard is the limit for each resource, under the names of a ResourceQuota: pods,
	// requests.cpu, requests.memory, requests.ephemeral-storage, limits.cpu, limits.memory,
	// limits.ephemeral-storage, requests.storage, persistentvolumeclaims, services,
	// services.nodeports, services.loadbalancers, configmaps, secrets. Other resources have no
	// limit of their own.
	Hard corev1.ResourceList
}

// QuotaStatus is how much of its quota a virtual cluster has used.
type QuotaStatus struct {
	// hard is the quota that the syncer enforces.
	Hard corev1.ResourceList
	// used is how much the virtual cluster uses of the host, for each name in hard.
	Used corev1.ResourceList
}

// HelmSpec sets advanced values of the chart.
type HelmSpec struct {
	// values override the chart's values, and all others. The chart's schema lists them. None
	// of them can extend what the virtual cluster may do on the host.
	Values *runtime.RawExtension
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
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
	// templateRef names the template that the virtual cluster is made from. When it is
	// not set, the default template is used if there is one; a reference
	// without a name stands for none.
	// +optional
	// +k8s:optional
	TemplateRef *TemplateReference `json:"templateRef,omitempty"`
	// hostClusterRef names the host cluster that runs the virtual cluster. Immutable. Defaults to local.
	// +optional
	HostClusterRef HostClusterReference `json:"hostClusterRef,omitempty"`
	// kubernetes says which Kubernetes runs inside.
	// +optional
	Kubernetes KubernetesSpec `json:"kubernetes,omitempty"`
	// controlPlane says how the control plane is run on the host.
	// +optional
	ControlPlane ControlPlaneSpec `json:"controlPlane,omitempty"`
	// syncer configures what carries objects between the virtual cluster and the host.
	// +optional
	Syncer SyncerSpec `json:"syncer,omitempty"`
	// access gives rights inside to users and groups of the host, besides those
	// that follow from their permissions on the virtual cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Access []AccessRule `json:"access,omitempty"`
	// isolation says what pods of the virtual cluster may ask for, whom they may speak
	// to, and how much the virtual cluster may hold on the host.
	// +optional
	Isolation IsolationSpec `json:"isolation,omitempty"`
	// helm gives access to the advanced values of the chart that deploys the control plane.
	// +optional
	Helm HelmSpec `json:"helm,omitempty"`
}

// TemplateReference names the template that a virtual cluster is made from.
type TemplateReference struct {
	// name of the VirtualClusterTemplate; empty for none, not even the default one.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-long-name
	Name string `json:"name,omitempty"`
	// version of the template; the highest that is no pre-release when not set.
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
	// sync lets later changes of the template reach this virtual cluster.
	// Otherwise the template is applied once, when the virtual cluster is created.
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
	// clusterRole is the name of a ClusterRole inside the virtual cluster. It is
	// granted in all namespaces of it.
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
	// version is the Kubernetes version inside, such as v1.37.2. It can be raised, never lowered.
	// Defaults to the newest version that this release of Garret knows.
	// +optional
	Version string `json:"version,omitempty"`
	// extraArgs are further flags for the control plane's server command, each in
	// the form --name=value. Those that tune it can be given; who may enter, where
	// data lies and what is listened on is not said here.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=4096
	ExtraArgs []string `json:"extraArgs,omitempty"`
}

// ControlPlaneSpec says how the control plane is run on the host.
type ControlPlaneSpec struct {
	// resources are the compute resources of the control plane container. What is not
	// given of CPU and memory has defaults: requests of 100m and 256Mi, limits of 2 and
	// 2Gi, or of the request where that is higher.
	// +optional
	// +k8s:opaqueType
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	// storage is where the control plane keeps its data.
	// +optional
	Storage StorageSpec `json:"storage,omitempty"`
	// datastore replaces the embedded datastore by an external one.
	// +optional
	// +k8s:optional
	Datastore *DatastoreSpec `json:"datastore,omitempty"`
}

// StorageRetention says what becomes of a control plane's volume.
// +enum
// +k8s:enum
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
	// +optional
	Persistent *bool `json:"persistent,omitempty"`
	// size of the volume. Defaults to 5Gi. The embedded database of distro k8s may have
	// two fifths of it, and refuses writes beyond.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
	// storageClassName of the volume; the host's default class when not set. Immutable.
	// +optional
	// +k8s:optional
	StorageClassName *string `json:"storageClassName,omitempty"`
	// whenDeleted says what becomes of the volume claim, and of those of the
	// workloads inside, when the virtual cluster is deleted: Delete or Retain.
	// Defaults to Delete.
	// +optional
	// +k8s:optional
	WhenDeleted StorageRetention `json:"whenDeleted,omitempty"`
}

// DatastoreSpec is an external datastore.
type DatastoreSpec struct {
	// endpointSecretRef names a Secret in the same namespace whose key
	// "endpoint" holds the address of the datastore (postgres://, mysql:// or
	// https:// of an etcd cluster), with the optional keys "ca.crt", "tls.crt" and "tls.key".
	// +k8s:opaqueType
	EndpointSecretRef corev1.LocalObjectReference `json:"endpointSecretRef"`
}

// PodSecurityLevel is a level of the Pod Security Standards.
// +enum
// +k8s:enum
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
	// +optional
	// +k8s:optional
	PodSecurity PodSecurityLevel `json:"podSecurity,omitempty"`
	// networkPolicy says what the pods of the virtual cluster, and its control plane, may reach.
	// +optional
	NetworkPolicy NetworkIsolation `json:"networkPolicy,omitempty"`
	// deniedAnnotations are keys of annotations that do not reach the host, although the
	// HostCluster allows them. A * at the end of a key stands for any end.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	DeniedAnnotations []string `json:"deniedAnnotations,omitempty"`
	// quota is how much the virtual cluster may hold on the host. The syncer enforces
	// it before it asks the host, for this virtual cluster alone.
	// +optional
	Quota QuotaSpec `json:"quota,omitempty"`
	// resourceQuota is a ResourceQuota that is deployed into the host namespace, for
	// all that there is in it. Who sets it needs the right to create resourcequotas there.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	ResourceQuota *corev1.ResourceQuotaSpec `json:"resourceQuota,omitempty"`
	// limitRange is a LimitRange that is deployed into the host namespace, for all
	// that there is in it. Who sets it needs the right to create limitranges there.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	LimitRange *corev1.LimitRangeSpec `json:"limitRange,omitempty"`
}

// NetworkIsolation is what the pods of a virtual cluster may reach.
type NetworkIsolation struct {
	// enabled deploys NetworkPolicies that keep the pods of the virtual cluster to each
	// other, to DNS and to their own API. The host's network has to enforce them. Defaults to true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// publicEgress lets them reach public addresses, too. Defaults to true.
	// +optional
	PublicEgress *bool `json:"publicEgress,omitempty"`
}

// QuotaSpec is how much a virtual cluster may hold on the host.
type QuotaSpec struct {
	// hard is the most of each resource, under the names of a ResourceQuota: pods,
	// requests.cpu, requests.memory, requests.ephemeral-storage, limits.cpu,
	// limits.memory, limits.ephemeral-storage, requests.storage, persistentvolumeclaims,
	// services, services.nodeports, services.loadbalancers, configmaps, secrets.
	// What is not named has no limit of its own.
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
	// used is what the virtual cluster holds on the host, for each name in hard.
	// +optional
	// +k8s:opaqueType
	Used corev1.ResourceList `json:"used,omitempty"`
}

// HelmSpec gives access to the advanced values of the chart.
type HelmSpec struct {
	// values are merged last over the chart's values. The chart's schema says
	// which there are; nothing in them can widen what the virtual cluster may do on the host.
	// +optional
	// +patchStrategy=replace
	Values *runtime.RawExtension `json:"values,omitempty" patchStrategy:"replace"`
}

// Phase sums a virtual cluster's state up in one word.
// +enum
// +k8s:enum
type Phase string

const (
	// PhasePending means that nothing has been deployed yet.
	PhasePending Phase = "Pending"
	// PhaseDeploying means that the control plane is being brought up.
	PhaseDeploying Phase = "Deploying"
	// PhaseReady means that the API inside answers and workloads are synced.
	PhaseReady Phase = "Ready"
	// PhaseFailed means that nothing will change without somebody's action.
	PhaseFailed Phase = "Failed"
	// PhaseTerminating means that the virtual cluster is being removed.
	PhaseTerminating Phase = "Terminating"
)

// Types of the conditions of a virtual cluster.
const (
	// ConditionReady is true while the API inside answers and workloads are synced.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the controller works towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when the controller cannot go on by itself.
	ConditionStalled = "Stalled"
	// ConditionControlPlaneReady is true while the control plane answers; the syncer reports it.
	ConditionControlPlaneReady = "ControlPlaneReady"
	// ConditionSyncerReady is true while the syncer works; the syncer reports it.
	ConditionSyncerReady = "SyncerReady"
	// ConditionTemplateApplied is true when the spec holds what the template says.
	ConditionTemplateApplied = "TemplateApplied"
	// ConditionAccessApplied is true when the rights inside are those of spec.access;
	// the syncer reports it where there is, or was, any.
	ConditionAccessApplied = "AccessApplied"
	// ConditionHostPodSecurity is true when the host, too, holds the pods of the namespace
	// to a level of the Pod Security Standards. No other condition depends on it.
	ConditionHostPodSecurity = "HostPodSecurity"
	// ConditionOrphaned is true while host objects hold data whose objects inside
	// are missing without having been deleted. Nobody deletes them unasked.
	ConditionOrphaned = "HostDataOrphaned"
	// ConditionMetricsAvailable is true while the host tells what pods use of CPU and
	// memory; the syncer reports it. No other condition depends on it.
	ConditionMetricsAvailable = "MetricsAvailable"
	// ConditionCustomKinds says whether all kinds with a rule are synced, and what keeps
	// those that are not.
	ConditionCustomKinds = "CustomKindsSynced"
)

// Reasons of the condition SyncerReady while the data inside are not those that
// the host objects stand for. Nothing is synced then, and nothing deleted.
const (
	// ReasonDataReplaced says that the API server inside has other data altogether.
	ReasonDataReplaced = "DataReplaced"
	// ReasonDataOlder says that its data went back in time.
	ReasonDataOlder = "DataOlder"
)

// ReasonMissingRights of the condition SyncerReady says that the host does not let the
// syncer do what is switched on. The message names the rights and who can grant them.
const ReasonMissingRights = "MissingRights"

// Reasons of the condition TemplateApplied.
const (
	// ReasonApplied says that the spec holds what the template says.
	ReasonApplied = "Applied"
	// ReasonRefused says that a later change of the template cannot be applied.
	ReasonRefused = "Refused"
	// ReasonGone says that there is no template any more whose later changes could be applied.
	ReasonGone = "TemplateGone"
)

// VirtualClusterStatus is the observed state of a virtual cluster.
type VirtualClusterStatus struct {
	// phase sums the conditions up in one word.
	// +optional
	// +k8s:optional
	Phase Phase `json:"phase,omitempty"`
	// conditions are Ready, Reconciling, Stalled, ControlPlaneReady and SyncerReady,
	// TemplateApplied where there is a template, AccessApplied where there is access,
	// HostPodSecurity, which says whether the host holds pods to a level, too,
	// MetricsAvailable, which says whether it tells what pods use, and
	// CustomKindsSynced where there are rules for kinds of the host.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +k8s:eachVal=+k8s:opaqueType
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
	// observedGeneration is the generation that the controller acted on last.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// clusterID identifies the virtual cluster among all of the host cluster, for life.
	// One that is made again on the retained data of another has the id of that one.
	// +optional
	ClusterID string `json:"clusterID,omitempty"`
	// kubernetesVersion is what the API server inside calls itself.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// endpoint is the address of the API server inside, as https://host:port.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// certificateAuthorityData is the PEM bundle that the API server inside is verified with.
	// +optional
	CertificateAuthorityData []byte `json:"certificateAuthorityData,omitempty"`
	// template is what the virtual cluster was made from, as it was resolved.
	// +optional
	// +k8s:optional
	Template *TemplateStatus `json:"template,omitempty"`
	// release is the Helm release that deploys the virtual cluster.
	// +optional
	Release *ReleaseStatus `json:"release,omitempty"`
	// quota is how much the virtual cluster holds of what spec.isolation.quota bounds;
	// the syncer reports it.
	// +optional
	// +k8s:optional
	Quota *QuotaStatus `json:"quota,omitempty"`
	// customKinds are the kinds that go to the host by a rule, and those that did and whose objects are not all gone
	// from there, as RESOURCE.VERSION.GROUP.
	// +optional
	// +listType=atomic
	// +k8s:optional
	CustomKinds []string `json:"customKinds,omitempty"`
}

// TemplateStatus is a template as it was applied to a virtual cluster.
type TemplateStatus struct {
	// name of the VirtualClusterTemplate.
	Name string `json:"name"`
	// version of the template.
	Version string `json:"version"`
	// uid of the template, which tells it from another one of the same name.
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// generation of the template.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// parameters are the values of all parameters, defaults included.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +patchStrategy=merge
	// +patchMergeKey=name
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=name
	Parameters []TemplateParameterValue `json:"parameters,omitempty" patchStrategy:"merge" patchMergeKey:"name"`
	// defaults are the template's defaults with the parameters filled in.
	// +optional
	// +patchStrategy=replace
	Defaults *runtime.RawExtension `json:"defaults,omitempty" patchStrategy:"replace"`
	// forced is the template's forced part with the parameters filled in.
	// +optional
	// +patchStrategy=replace
	Forced *runtime.RawExtension `json:"forced,omitempty" patchStrategy:"replace"`
}

// ReleaseStatus is the Helm release that deploys a virtual cluster.
type ReleaseStatus struct {
	// name of the release.
	Name string `json:"name"`
	// revision of the release.
	Revision int64 `json:"revision"`
	// chartVersion is the version of the chart.
	ChartVersion string `json:"chartVersion"`
}

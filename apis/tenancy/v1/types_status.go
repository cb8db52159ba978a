// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Phase sums up a virtual cluster's state in one word.
// +enum
// +k8s:enum
type Phase string

const (
	// PhasePending means that nothing has been deployed yet.
	PhasePending Phase = "Pending"
	// PhaseDeploying means that the control plane is starting.
	PhaseDeploying Phase = "Deploying"
	// PhaseReady means that the API inside answers and workloads are synced.
	PhaseReady Phase = "Ready"
	// PhaseFailed means that somebody has to act.
	PhaseFailed Phase = "Failed"
	// PhaseSleeping means that the virtual cluster falls asleep, or sleeps.
	PhaseSleeping Phase = "Sleeping"
	// PhaseWaking means that the virtual cluster wakes: its control plane is starting.
	PhaseWaking Phase = "Waking"
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
	// ConditionAccessApplied is true when the rights inside match spec.access; the syncer
	// reports it where the field is, or was, set.
	ConditionAccessApplied = "AccessApplied"
	// ConditionKubeconfigSecret is true when the Secret of spec.kubeconfigSecret holds a
	// kubeconfig that works; the syncer reports it where the field is, or was, set.
	ConditionKubeconfigSecret = "KubeconfigSecretWritten"
	// ConditionHostPodSecurity is true when the host enforces a level of the Pod Security
	// Standards on the namespace, too. No other condition depends on it.
	ConditionHostPodSecurity = "HostPodSecurity"
	// ConditionOrphaned is true while host objects hold data, and their objects inside are
	// missing although nobody deleted them. Garret never deletes such host objects without a
	// decision.
	ConditionOrphaned = "HostDataOrphaned"
	// ConditionMetricsAvailable is true while the host reports how much CPU and memory pods
	// use; the syncer reports it. No other condition depends on it.
	ConditionMetricsAvailable = "MetricsAvailable"
	// ConditionAsleep is true while nothing of the virtual cluster runs, because it sleeps. It
	// exists once the virtual cluster has slept.
	ConditionAsleep = "Asleep"
	// ConditionDeletionScheduled is true while the virtual cluster is about to be deleted,
	// because nobody uses it. It exists once spec.sleep.deleteAfterInactivity is set.
	ConditionDeletionScheduled = "DeletionScheduled"
	// ConditionCustomKindsAllowed is true while the host's administrator allows every kind that
	// a rule syncs.
	ConditionCustomKindsAllowed = "CustomKindsAllowed"
	// ConditionCustomKindsSynced is true while every kind with a rule is served inside and
	// synced; the syncer reports it once it has a rule.
	ConditionCustomKindsSynced = "CustomKindsSynced"
	// ConditionCustomKindsKept is true while the host keeps objects of kinds that hold data
	// and have no rule any more.
	ConditionCustomKindsKept = "CustomKindsKept"
)

// ReasonNotServed is the reason of CustomKindsSynced while a kind is not served on both sides.
const ReasonNotServed = "NotServed"

// Reasons of the condition SyncerReady while the data inside do not belong to the host objects.
// The syncer then syncs nothing, and deletes nothing.
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
	// ReasonGone says that the template does not exist any more.
	ReasonGone = "TemplateGone"
)

// VirtualClusterStatus is the observed state of a virtual cluster.
type VirtualClusterStatus struct {
	// phase sums the conditions up in one word.
	// +optional
	// +k8s:optional
	Phase Phase `json:"phase,omitempty"`
	// conditions are Ready, Reconciling, Stalled, ControlPlaneReady, SyncerReady,
	// HostPodSecurity (does the host enforce a level, too?) and MetricsAvailable (does the host
	// report what pods use?). With a template there is TemplateApplied, with spec.access
	// AccessApplied, and with spec.kubeconfigSecret KubeconfigSecretWritten. Asleep exists once
	// the virtual cluster has slept, and DeletionScheduled with
	// spec.sleep.deleteAfterInactivity. Rules for kinds of the host have CustomKindsAllowed and
	// CustomKindsSynced. CustomKindsKept exists while the host keeps data of kinds that have no
	// rule any more.
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
	// clusterID identifies the virtual cluster on the host cluster, for life. A virtual cluster
	// that is created on the retained data of another one adopts that one's id.
	// +optional
	ClusterID string `json:"clusterID,omitempty"`
	// kubernetesVersion is the version that the API server inside reports.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// endpoint is the address of the API server inside, as https://host:port.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// certificateAuthorityData is the PEM bundle that verifies the API server inside.
	// +optional
	CertificateAuthorityData []byte `json:"certificateAuthorityData,omitempty"`
	// template is the template that the virtual cluster was created from, as Garret resolved
	// it.
	// +optional
	// +k8s:optional
	Template *TemplateStatus `json:"template,omitempty"`
	// release is the Helm release that deploys the virtual cluster.
	// +optional
	Release *ReleaseStatus `json:"release,omitempty"`
	// quota is how much the virtual cluster uses of what spec.isolation.quota limits; the
	// syncer reports it.
	// +optional
	// +k8s:optional
	Quota *QuotaStatus `json:"quota,omitempty"`
	// sleep says whether the virtual cluster sleeps, since when, and why.
	// +optional
	// +k8s:optional
	Sleep *SleepStatus `json:"sleep,omitempty"`
	// restingFor is the number of the sleep for which the syncer has stopped syncing pods; the
	// syncer reports it. Only then does garret-controller stop the pods on the host.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	RestingFor int64 `json:"restingFor,omitempty"`
	// lastActivityTime is when somebody, or a client of theirs, last used the virtual cluster.
	// Garret writes it at most once a minute.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	LastActivityTime *metav1.Time `json:"lastActivityTime,omitempty"`
	// wakeRequest is the last request that asked the virtual cluster to wake.
	// +optional
	// +k8s:optional
	WakeRequest *WakeRequest `json:"wakeRequest,omitempty"`
	// customKinds are the kinds that a rule syncs to the host, as RESOURCE.VERSION.GROUP. A
	// kind whose rule is gone stays in the list until all its objects are gone from the host.
	// +optional
	// +listType=atomic
	// +k8s:optional
	CustomKinds []string `json:"customKinds,omitempty"`
	// customKindsWithData are those of customKinds whose objects hold data, by their current or
	// last rule.
	// +optional
	// +listType=atomic
	// +k8s:optional
	CustomKindsWithData []string `json:"customKindsWithData,omitempty"`
	// services are the Services of the host and of other virtual clusters that the spec names,
	// as Garret found them.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=128
	Services []FoundService `json:"services,omitempty"`
	// hostNodes is what the syncer has to know about the host's nodes, which it may not read.
	// It is absent until garret-controller knows them.
	// +optional
	// +k8s:optional
	HostNodes *HostNodesStatus `json:"hostNodes,omitempty"`
}

// HostNodesStatus is what a syncer has to know about the nodes of the host.
type HostNodesStatus struct {
	// resources are the extended resources, such as those of devices, that at least one node of
	// the host has. The host's scheduler knows no other names of resources.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=1024
	Resources []string `json:"resources,omitempty"`
}

// TemplateStatus is a template as Garret applied it to a virtual cluster.
type TemplateStatus struct {
	// name of the VirtualClusterTemplate.
	Name string `json:"name"`
	// version of the template.
	Version string `json:"version"`
	// uid of the template, which distinguishes it from another one of the same name.
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Phase sums up a virtual cluster's state in one word.
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
)

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
	Phase Phase
	// conditions are Ready, Reconciling, Stalled, ControlPlaneReady, SyncerReady,
	// HostPodSecurity (does the host enforce a level, too?) and MetricsAvailable (does the host
	// report what pods use?). With a template there is TemplateApplied, with spec.access
	// AccessApplied, and with spec.kubeconfigSecret KubeconfigSecretWritten. Asleep exists once
	// the virtual cluster has slept, and DeletionScheduled with
	// spec.sleep.deleteAfterInactivity. Rules for kinds of the host have CustomKindsAllowed and
	// CustomKindsSynced. CustomKindsKept exists while the host keeps data of kinds that have no
	// rule any more.
	Conditions []metav1.Condition
	// observedGeneration is the generation that the controller acted on last.
	ObservedGeneration int64
	// clusterID identifies the virtual cluster among all of the host cluster, for life.
	ClusterID string
	// kubernetesVersion is the version that the API server inside reports.
	KubernetesVersion string
	// endpoint is the address of the API server inside, as https://host:port.
	Endpoint string
	// certificateAuthorityData is the PEM bundle that verifies the API server inside.
	CertificateAuthorityData []byte
	// template is the template that the virtual cluster was created from, as Garret resolved
	// it.
	Template *TemplateStatus
	// release is the Helm release that deploys the virtual cluster.
	Release *ReleaseStatus
	// quota is how much the virtual cluster uses of what spec.isolation.quota limits; the
	// syncer reports it.
	Quota *QuotaStatus
	// sleep says whether the virtual cluster sleeps, since when, and why.
	Sleep *SleepStatus
	// restingFor is the number of the sleep for which the syncer has stopped syncing pods; the
	// syncer reports it. Only then does garret-controller stop the pods on the host.
	RestingFor int64
	// lastActivityTime is when somebody, or a client of theirs, last used the virtual cluster.
	// Garret writes it at most once a minute.
	LastActivityTime *metav1.Time
	// wakeRequest is the last request that asked the virtual cluster to wake.
	WakeRequest *WakeRequest
	// customKinds are the kinds that a rule syncs to the host, as RESOURCE.VERSION.GROUP. A
	// kind whose rule is gone stays in the list until all its objects are gone from the host.
	CustomKinds []string
	// customKindsWithData are those of customKinds whose objects hold data, by their current or
	// last rule.
	CustomKindsWithData []string
	// services are the Services of the host and of other virtual clusters that the spec names,
	// as Garret found them.
	Services []FoundService
	// hostNodes is what the syncer has to know about the host's nodes, which it may not read.
	// It is absent until garret-controller knows them.
	HostNodes *HostNodesStatus
}

// HostNodesStatus is what a syncer has to know about the nodes of the host.
type HostNodesStatus struct {
	// resources are the extended resources, such as those of devices, that at least one node of
	// the host has. The host's scheduler knows no other names of resources.
	Resources []string
}

// TemplateStatus is a template as Garret applied it to a virtual cluster.
type TemplateStatus struct {
	// name of the VirtualClusterTemplate.
	Name string
	// version of the template.
	Version string
	// uid of the template, which distinguishes it from another one of the same name.
	UID types.UID
	// generation of the template.
	Generation int64
	// parameters are the values of all parameters, defaults included.
	Parameters []TemplateParameterValue
	// defaults are the template's defaults with the parameters filled in.
	Defaults *runtime.RawExtension
	// forced is the template's forced part with the parameters filled in.
	Forced *runtime.RawExtension
}

// ReleaseStatus is the Helm release that deploys a virtual cluster.
type ReleaseStatus struct {
	// name of the release.
	Name string
	// revision of the release.
	Revision int64
	// chartVersion is the version of the chart.
	ChartVersion string
}

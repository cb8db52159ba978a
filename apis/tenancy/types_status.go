// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Phase sums a virtual cluster's state up in one word.
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
	// PhaseSleeping means that the virtual cluster was put to sleep.
	PhaseSleeping Phase = "Sleeping"
	// PhaseWaking means that it was woken, and is being brought up.
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
	// ReasonGone says that there is no template any more whose later changes could be applied.
	ReasonGone = "TemplateGone"
)

// VirtualClusterStatus is the observed state of a virtual cluster.
type VirtualClusterStatus struct {
	// phase sums the conditions up in one word.
	Phase Phase
	// conditions are Ready, Reconciling, Stalled, ControlPlaneReady and SyncerReady,
	// TemplateApplied where there is a template, AccessApplied where there is access,
	// KubeconfigSecretWritten where a Secret is to hold a kubeconfig,
	// HostPodSecurity, which says whether the host holds pods to a level, too,
	// MetricsAvailable, which says whether it tells what pods use, Asleep, once it has slept,
	// DeletionScheduled where there is a deletion by inactivity,
	// CustomKindsAllowed and CustomKindsSynced where there are rules for kinds of the host, and
	// CustomKindsKept while the host keeps data of kinds that have no rule any more.
	Conditions []metav1.Condition
	// observedGeneration is the generation that the controller acted on last.
	ObservedGeneration int64
	// clusterID identifies the virtual cluster among all of the host cluster, for life.
	ClusterID string
	// kubernetesVersion is what the API server inside calls itself.
	KubernetesVersion string
	// endpoint is the address of the API server inside, as https://host:port.
	Endpoint string
	// certificateAuthorityData is the PEM bundle that the API server inside is verified with.
	CertificateAuthorityData []byte
	// template is what the virtual cluster was made from, as it was resolved.
	Template *TemplateStatus
	// release is the Helm release that deploys the virtual cluster.
	Release *ReleaseStatus
	// quota is how much the virtual cluster holds of what spec.isolation.quota bounds;
	// the syncer reports it.
	Quota *QuotaStatus
	// sleep says whether the virtual cluster sleeps, since when, and why.
	Sleep *SleepStatus
	// restingFor is the number of the sleep for which the syncer has stopped carrying pods;
	// the syncer reports it. Only then are the pods on the host stopped.
	RestingFor int64
	// lastActivityTime is when somebody last used the virtual cluster, or a client of theirs.
	// It is written at most once a minute.
	LastActivityTime *metav1.Time
	// wakeRequest is the last request that asked the virtual cluster to wake.
	WakeRequest *WakeRequest
	// customKinds are the kinds that go to the host by a rule, and those that did and whose objects are not all gone
	// from there, as RESOURCE.VERSION.GROUP.
	CustomKinds []string
	// customKindsWithData are those of customKinds whose objects hold data, by the rule that they have or had last.
	CustomKindsWithData []string
	// services are those of the host and of other virtual clusters that the spec names, as
	// they were found.
	Services []FoundService
	// hostNodes is what the syncer has to know of the host's nodes, which it may not read. It is
	// absent until they are known.
	HostNodes *HostNodesStatus
}

// HostNodesStatus is what a virtual cluster has to know of the nodes of the host.
type HostNodesStatus struct {
	// resources are the extended resources, such as those of devices, that any node of the host
	// has. No other name of a resource means anything to the host's scheduler.
	Resources []string
}

// TemplateStatus is a template as it was applied to a virtual cluster.
type TemplateStatus struct {
	// name of the VirtualClusterTemplate.
	Name string
	// version of the template.
	Version string
	// uid of the template, which tells it from another one of the same name.
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
)

const maxMessage = 1024

// configuration is what is applied. The UID keeps a syncer that is about to end
// from writing to a new VirtualCluster of the same name.
//
// Conditions that tell of processes name no generation: they are so whatever the
// spec that those were started from.
func (w *writer) configuration(now state) *applyv1.VirtualClusterApplyConfiguration {
	status := applyv1.VirtualClusterStatus().WithConditions(
		w.condition(tenancyv1.ConditionControlPlaneReady, now.controlPlane, "Answering", "the API server inside is ready"),
		w.condition(tenancyv1.ConditionSyncerReady, now.syncer, "Syncing", "the syncer syncs workloads to the host"))
	if now.access.known {
		condition := w.condition(tenancyv1.ConditionAccessApplied, now.access.trouble, "Applied", "the rights inside match spec.access")
		status.WithConditions(condition.WithObservedGeneration(now.access.generation))
	} else {
		status.WithConditions(w.asBefore(tenancyv1.ConditionAccessApplied)...)
	}
	switch kept := now.kubeconfig; {
	case !kept.known:
		status.WithConditions(w.asBefore(tenancyv1.ConditionKubeconfigSecret)...)
	case kept.outcome.reason != "":
		status.WithConditions(w.condition(tenancyv1.ConditionKubeconfigSecret, kept.outcome, "", "").WithObservedGeneration(kept.generation))
	case kept.outcome.message != "":
		status.WithConditions(w.stands(tenancyv1.ConditionKubeconfigSecret, metav1.ConditionTrue, "Written", kept.outcome.message).WithObservedGeneration(kept.generation))
	}
	if now.metrics.known {
		status.WithConditions(w.condition(tenancyv1.ConditionMetricsAvailable, now.metrics.trouble, "HostMetrics", "the host reports how much CPU and memory pods use"))
	} else {
		status.WithConditions(w.asBefore(tenancyv1.ConditionMetricsAvailable)...)
	}
	if now.custom.known {
		status.WithConditions(w.condition(tenancyv1.ConditionCustomKindsSynced, now.custom.trouble, "Synced", "the syncer serves and syncs every kind whose rule is allowed"))
	}
	if now.orphaned != "" {
		status.WithConditions(w.stands(tenancyv1.ConditionOrphaned, metav1.ConditionTrue, "MissingInside", now.orphaned))
	}
	if now.quota != "" {
		var quota tenancyv1.QuotaStatus
		// It was written by Quota.
		if json.Unmarshal([]byte(now.quota), &quota) == nil {
			status.WithQuota(applyv1.QuotaStatus().WithHard(quota.Hard).WithUsed(quota.Used))
		}
	}
	if now.resting != 0 {
		status.WithRestingFor(now.resting)
	}
	if now.used != 0 {
		status.WithLastActivityTime(metav1.Unix(now.used, 0))
	}
	if now.version != "" {
		status.WithKubernetesVersion(now.version)
	}
	if now.authority != "" {
		status.WithCertificateAuthorityData([]byte(now.authority)...)
	}
	return applyv1.VirtualCluster(w.cluster.Name, w.cluster.HostNamespace).WithUID(w.cluster.UID).WithStatus(status)
}

// asBefore is a condition as it stands, if it does: a syncer that was restarted has yet
// to look, and until then it stays.
func (w *writer) asBefore(kind string) []*applymetav1.ConditionApplyConfiguration {
	before := meta.FindStatusCondition(w.before, kind)
	if before == nil {
		return nil
	}
	return []*applymetav1.ConditionApplyConfiguration{
		applymetav1.Condition().WithType(before.Type).WithStatus(before.Status).WithReason(before.Reason).
			WithMessage(before.Message).WithLastTransitionTime(before.LastTransitionTime).WithObservedGeneration(before.ObservedGeneration),
	}
}

// condition is true while there is no trouble.
func (w *writer) condition(kind string, t trouble, reason, message string) *applymetav1.ConditionApplyConfiguration {
	status := metav1.ConditionTrue
	if t != (trouble{}) {
		status, reason, message = metav1.ConditionFalse, t.reason, t.message
	}
	return w.stands(kind, status, reason, message)
}

// stands is a condition that is since when it was reported first.
func (w *writer) stands(kind string, status metav1.ConditionStatus, reason, message string) *applymetav1.ConditionApplyConfiguration {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	since := metav1.NewTime(w.clock.Now())
	if before := meta.FindStatusCondition(w.before, kind); before != nil && before.Status == status {
		since = before.LastTransitionTime
	}
	return applymetav1.Condition().WithType(kind).WithStatus(status).WithReason(reason).WithMessage(message).WithLastTransitionTime(since)
}

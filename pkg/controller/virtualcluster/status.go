// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
)

const (
	// maxMessage keeps a status small; a condition's message may hold 32768.
	maxMessage = 1024
	// tooLong is how long a start without any visible trouble may take.
	tooLong = 10 * time.Minute
)

// report writes what a pass found into the status, if it differs, and returns when
// the next pass is due.
func (c *Controller) report(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, seen observation) (time.Duration, error) {
	verdict, stallsIn := c.judge(vc, seen.trouble)
	concluded(ctx, verdict)
	want := vc.Status.DeepCopy()
	verdict.apply(want, vc.Generation, metav1.NewTime(c.Clock.Now()))
	want.ObservedGeneration = vc.Generation
	if namespace, err := c.watched.namespaces.Get(vc.Namespace); err == nil {
		condition := hostPodSecurity(vc, namespace.Labels)
		condition.LastTransitionTime = metav1.NewTime(c.Clock.Now())
		meta.SetStatusCondition(&want.Conditions, condition)
	}
	c.countWake(vc, m, verdict.ready)
	seen.kinds.report(want, metav1.NewTime(c.Clock.Now()))
	if seen.clusterIP != "" {
		want.Endpoint = endpoint(seen.clusterIP)
	}
	if seen.release.Revision > 0 {
		want.Release = &tenancyv1.ReleaseStatus{Name: tenancyv1.ReleaseName(vc.Name), Revision: int64(seen.release.Revision), ChartVersion: seen.release.ChartVersion}
	}
	if seen.found {
		want.Services = seen.services
	}
	if nodes, known := c.watched.nodes.status(); known {
		want.HostNodes = nodes
	}
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return 0, err
	}
	c.announce(vc, m, verdict)
	return c.due(m, seen.trouble, stallsIn), nil
}

// verdict is the state of a virtual cluster in the words of its status.
type verdict struct {
	phase          tenancyv1.Phase
	ready, stalled bool
	// asleep says that nothing is left to stop.
	asleep          bool
	reason, message string
}

// judge says what a trouble, or none, means, and in how long it will mean failure.
func (c *Controller) judge(vc *tenancyv1.VirtualCluster, found *trouble) (verdict, time.Duration) {
	if found == nil {
		return verdict{phase: tenancyv1.PhaseReady, ready: true, reason: reasonReady, message: "the API inside answers, and the syncer syncs workloads"}, 0
	}
	v := verdict{phase: tenancyv1.PhaseDeploying, reason: found.Reason, message: found.Message}
	if vc.Status.Phase == tenancyv1.PhaseSleeping || vc.Status.Phase == tenancyv1.PhaseWaking {
		v.phase = tenancyv1.PhaseWaking
	}
	limit := c.options.StallAfter
	if found.progress {
		limit = tooLong
	}
	left := limit - c.struggling(vc)
	v.stalled = found.final || left <= 0 || (stillStalled(vc) && !found.progress)
	if !v.stalled {
		return v, left
	}
	v.phase = tenancyv1.PhaseFailed
	if found.progress {
		v.reason, v.message = reasonTooLong, "for more than "+tooLong.String()+": "+found.Message
	}
	return v, 0
}

// struggling is for how long the controller has been working towards this spec.
func (c *Controller) struggling(vc *tenancyv1.VirtualCluster) time.Duration {
	for _, kind := range []string{tenancyv1.ConditionReconciling, tenancyv1.ConditionStalled} {
		condition := meta.FindStatusCondition(vc.Status.Conditions, kind)
		if condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == vc.Generation {
			return c.Clock.Since(condition.LastTransitionTime.Time)
		}
	}
	return 0
}

func stillStalled(vc *tenancyv1.VirtualCluster) bool {
	condition := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionStalled)
	return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == vc.Generation
}

func isReady(vc *tenancyv1.VirtualCluster) bool {
	condition := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionReady)
	return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == vc.Generation
}

// apply sets the conditions that are the controller's.
func (v verdict) apply(status *tenancyv1.VirtualClusterStatus, generation int64, now metav1.Time) {
	status.Phase = v.phase
	message := v.message
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	set := func(kind string, is bool, reason, message string) {
		value := metav1.ConditionFalse
		if is {
			value = metav1.ConditionTrue
		}
		before := meta.FindStatusCondition(status.Conditions, kind)
		next := metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: now}
		// A new spec is a new start: how long it takes counts from there.
		if before != nil && before.Status == value && (kind == tenancyv1.ConditionReady || before.ObservedGeneration == generation) {
			next.LastTransitionTime = before.LastTransitionTime
		}
		if before == nil {
			status.Conditions = append(status.Conditions, next)
			return
		}
		*before = next
	}
	set(tenancyv1.ConditionReady, v.ready, v.reason, message)
	v.sleepCondition(status, generation, now)
	working := !v.ready && !v.stalled && !v.asleep
	if working {
		set(tenancyv1.ConditionReconciling, true, v.reason, message)
	} else {
		set(tenancyv1.ConditionReconciling, false, "Idle", "")
	}
	if v.stalled {
		set(tenancyv1.ConditionStalled, true, v.reason, message)
	} else {
		set(tenancyv1.ConditionStalled, false, "Working", "")
	}
}

// applyStatus sends the controller's part of a status, unless the cache has it already.
func (c *Controller) applyStatus(ctx context.Context, vc *tenancyv1.VirtualCluster, want *tenancyv1.VirtualClusterStatus) error {
	c.foretell(vc, want)
	if sameStatus(&vc.Status, want) {
		return nil
	}
	return c.sendStatus(ctx, applyv1.VirtualCluster(vc.Name, vc.Namespace).WithUID(vc.UID), want)
}

// replaceStatus sends the same, unless somebody changed the object since.
func (c *Controller) replaceStatus(ctx context.Context, vc *tenancyv1.VirtualCluster, want *tenancyv1.VirtualClusterStatus) error {
	c.foretell(vc, want)
	return c.sendStatus(ctx, applyv1.VirtualCluster(vc.Name, vc.Namespace).WithUID(vc.UID).WithResourceVersion(vc.ResourceVersion), want)
}

// sendStatus sends the controller's part of the status of an object. The UID keeps it from
// reaching another one of the same name.
func (c *Controller) sendStatus(ctx context.Context, object *applyv1.VirtualClusterApplyConfiguration, want *tenancyv1.VirtualClusterStatus) error {
	status := applyv1.VirtualClusterStatus().WithPhase(want.Phase).WithObservedGeneration(want.ObservedGeneration).
		WithCustomKinds(want.CustomKinds...).WithCustomKindsWithData(want.CustomKindsWithData...)
	if want.Endpoint != "" {
		status.WithEndpoint(want.Endpoint)
	}
	if want.Release != nil {
		status.WithRelease(applyv1.ReleaseStatus().WithName(want.Release.Name).WithRevision(want.Release.Revision).WithChartVersion(want.Release.ChartVersion))
	}
	if want.Sleep != nil {
		status.WithSleep(toldSleep(want.Sleep))
	}
	if want.HostNodes != nil {
		status.WithHostNodes(applyv1.HostNodesStatus().WithResources(want.HostNodes.Resources...))
	}
	for i := range want.Services {
		status.WithServices(foundService(&want.Services[i]))
	}
	for _, kind := range ownConditions() {
		if condition := meta.FindStatusCondition(want.Conditions, kind); condition != nil {
			status.WithConditions(applymetav1.Condition().WithType(kind).WithStatus(condition.Status).WithReason(condition.Reason).
				WithMessage(condition.Message).WithObservedGeneration(condition.ObservedGeneration).WithLastTransitionTime(condition.LastTransitionTime))
		}
	}
	_, err := c.Tenancy.TenancyV1().VirtualClusters(*object.Namespace).ApplyStatus(ctx, object.WithStatus(status),
		metav1.ApplyOptions{FieldManager: tenancyv1.FieldManagerController, Force: true})
	return err
}

func foundService(found *tenancyv1.FoundService) *applyv1.FoundServiceApplyConfiguration {
	from := applyv1.ServiceSource().WithNamespace(found.From.Namespace).WithName(found.From.Name)
	if other := found.From.VirtualCluster; other != nil {
		from.WithVirtualCluster(applyv1.VirtualClusterName().WithNamespace(other.Namespace).WithName(other.Name))
	}
	service := applyv1.FoundService().WithFrom(from).WithClusterIPs(found.ClusterIPs...)
	if found.Message != "" {
		service.WithMessage(found.Message)
	}
	for _, port := range found.Ports {
		applied := applyv1.FoundServicePort().WithName(port.Name).WithProtocol(port.Protocol).WithPort(port.Port)
		applied.AppProtocol = port.AppProtocol
		service.WithPorts(applied)
	}
	return service
}

func ownConditions() []string {
	return []string{tenancyv1.ConditionReady, tenancyv1.ConditionReconciling, tenancyv1.ConditionStalled, tenancyv1.ConditionHostPodSecurity, tenancyv1.ConditionAsleep, tenancyv1.ConditionDeletionScheduled, tenancyv1.ConditionCustomKindsAllowed, tenancyv1.ConditionCustomKindsKept}
}

func sameStatus(a, b *tenancyv1.VirtualClusterStatus) bool {
	if a.Phase != b.Phase || a.ObservedGeneration != b.ObservedGeneration || a.Endpoint != b.Endpoint || !slices.Equal(a.CustomKinds, b.CustomKinds) || !slices.Equal(a.CustomKindsWithData, b.CustomKindsWithData) {
		return false
	}
	if !equality.Semantic.DeepEqual(a.Sleep, b.Sleep) {
		return false
	}
	if (a.Release == nil) != (b.Release == nil) || (a.Release != nil && *a.Release != *b.Release) {
		return false
	}
	if !equality.Semantic.DeepEqual(a.Services, b.Services) || !equality.Semantic.DeepEqual(a.HostNodes, b.HostNodes) {
		return false
	}
	for _, kind := range ownConditions() {
		x, y := meta.FindStatusCondition(a.Conditions, kind), meta.FindStatusCondition(b.Conditions, kind)
		if x == nil && y == nil {
			continue
		}
		if x == nil || y == nil || x.Status != y.Status || x.Reason != y.Reason || x.Message != y.Message || x.ObservedGeneration != y.ObservedGeneration {
			return false
		}
	}
	return true
}

// announce puts the verdict on the object as an event, once.
func (c *Controller) announce(vc *tenancyv1.VirtualCluster, m *memory, v verdict) {
	switch {
	case v.stalled:
		c.say(vc, m, corev1.EventTypeWarning, v.reason, v.message)
	case v.ready, v.asleep, v.phase == tenancyv1.PhaseSleeping, v.reason == reasonWaking:
		c.say(vc, m, corev1.EventTypeNormal, v.reason, v.message)
	default:
		eventType := corev1.EventTypeNormal
		if isReady(vc) || !expected(v.reason) {
			eventType = corev1.EventTypeWarning
		}
		c.say(vc, m, eventType, v.reason, v.message)
	}
}

// expected are the reasons that every virtual cluster passes through.
func expected(reason string) bool {
	switch reason {
	case reasonDeploying, reasonStarting, reasonRollingOut, reasonPodTerminating, reasonTerminating:
		return true
	}
	return false
}

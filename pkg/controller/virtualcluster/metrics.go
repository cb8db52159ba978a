// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"time"

	"k8s.io/component-base/metrics"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Metrics count what the controller does. No label names an object.
type Metrics struct {
	passes   *metrics.HistogramVec
	releases *metrics.Histogram
	troubles *metrics.CounterVec
	clusters *metrics.GaugeVec
	// asleep, wakes and waking are about sleep.
	asleep *metrics.CounterVec
	wakes  *metrics.CounterVec
	waking *metrics.Histogram
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(register func(...metrics.Registerable)) *Metrics {
	m := &Metrics{
		passes: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Namespace: "garret", Subsystem: Name, Name: "reconcile_duration_seconds", StabilityLevel: metrics.ALPHA,
			Help: "Duration of one reconcile of a virtual cluster, by result.", Buckets: metrics.ExponentialBuckets(0.001, 3, 10)}, []string{"result"}),
		releases: metrics.NewHistogram(&metrics.HistogramOpts{
			Namespace: "garret", Subsystem: Name, Name: "release_duration_seconds", StabilityLevel: metrics.ALPHA,
			Help: "Duration of an installation, upgrade or repair of a release.", Buckets: metrics.ExponentialBuckets(0.01, 2, 10)}),
		troubles: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "garret", Subsystem: Name, Name: "troubles_total", StabilityLevel: metrics.ALPHA,
			Help: "Problems of virtual clusters, by reason."}, []string{"reason"}),
	}
	m.clusters = metrics.NewGaugeVec(&metrics.GaugeOpts{
		Namespace: "garret", Name: "virtualclusters", StabilityLevel: metrics.ALPHA,
		Help: "Virtual clusters by phase, as the leading replica sees them."}, []string{"phase"})
	m.asleep = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "garret", Subsystem: Name, Name: "asleep_seconds_total", StabilityLevel: metrics.ALPHA,
		Help: "Total time that virtual clusters slept, by the reason for their sleep."}, []string{"reason"})
	m.wakes = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "garret", Subsystem: Name, Name: "wakes_total", StabilityLevel: metrics.ALPHA,
		Help: "Wakes of virtual clusters, by cause."}, []string{"cause"})
	m.waking = metrics.NewHistogram(&metrics.HistogramOpts{
		Namespace: "garret", Subsystem: Name, Name: "wake_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help: "Time from the decision to wake a virtual cluster until it is ready.", Buckets: metrics.ExponentialBuckets(0.5, 2, 10)})
	register(m.passes, m.releases, m.troubles, m.clusters, m.asleep, m.wakes, m.waking)
	return m
}

func (m *Metrics) observe(took time.Duration, err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	m.passes.WithLabelValues(result).Observe(took.Seconds())
}

func (m *Metrics) deployed(took time.Duration) { m.releases.Observe(took.Seconds()) }

func (m *Metrics) troubled(reason string) { m.troubles.WithLabelValues(reason).Inc() }

func (m *Metrics) slept(reason string, took time.Duration) {
	m.asleep.WithLabelValues(reason).Add(max(0, took.Seconds()))
}

func (m *Metrics) woke(cause string) { m.wakes.WithLabelValues(cause).Inc() }

func (m *Metrics) awake(took time.Duration) { m.waking.Observe(took.Seconds()) }

// phases sets all phases, so that one that nothing is in any more says zero. An
// object that no pass has looked at yet counts as pending.
func (m *Metrics) phases(counts map[tenancyv1.Phase]int) {
	for _, phase := range []tenancyv1.Phase{
		tenancyv1.PhasePending, tenancyv1.PhaseDeploying, tenancyv1.PhaseReady, tenancyv1.PhaseFailed, tenancyv1.PhaseSleeping, tenancyv1.PhaseWaking, tenancyv1.PhaseTerminating,
	} {
		count := counts[phase]
		if phase == tenancyv1.PhasePending {
			count += counts[""]
		}
		m.clusters.WithLabelValues(string(phase)).Set(float64(count))
	}
}

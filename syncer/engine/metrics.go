// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"k8s.io/component-base/metrics"
)

const (
	metricsNamespace = "garret"
	metricsSubsystem = "syncer"
)

// Metrics are the engine's measurements. They carry kinds, never names of objects.
type Metrics struct {
	reconciles *metrics.CounterVec
	duration   *metrics.HistogramVec
	writes     *metrics.CounterVec
	refusals   *metrics.CounterVec
	depth      *metrics.GaugeVec
	orphans    *metrics.GaugeVec
	held       *metrics.GaugeVec
}

// NewMetrics registers the engine's measurements with the registry.
func NewMetrics(registry metrics.KubeRegistry) *Metrics {
	m := &Metrics{
		reconciles: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "reconciles_total",
			Help:           "Reconciles of one object, by kind and result: success, retry, held or error.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind", "result"}),
		duration: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "reconcile_duration_seconds",
			Help:           "Duration of one reconcile of an object, by kind.",
			Buckets:        []float64{.001, .005, .01, .05, .1, .5, 1, 5},
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind"}),
		writes: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "host_writes_total",
			Help:           "Writes of synced objects to the host, by kind and operation.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind", "operation"}),
		refusals: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "host_refusals_total",
			Help:           "Writes that the host refused, by kind and reason.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind", "reason"}),
		depth: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "queue_depth",
			Help:           "Objects that wait for a reconcile, by kind.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind"}),
		orphans: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "orphans",
			Help:           "Host objects that hold data and whose virtual object is missing, although nobody deleted it, by kind.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind"}),
		held: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "held_writes",
			Help:           "Writes that the host refused and that the syncer retries later, by kind.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"kind"}),
	}
	registry.MustRegister(m.reconciles, m.duration, m.writes, m.refusals, m.depth, m.orphans, m.held)
	return m
}

func (m *Metrics) observe(kind, result string, took time.Duration, depth int) {
	m.reconciles.WithLabelValues(kind, result).Inc()
	m.duration.WithLabelValues(kind).Observe(took.Seconds())
	m.depth.WithLabelValues(kind).Set(float64(depth))
}

func (m *Metrics) wrote(kind, operation string) {
	m.writes.WithLabelValues(kind, operation).Inc()
}

func (m *Metrics) refused(kind, reason string) {
	m.refusals.WithLabelValues(kind, reason).Inc()
}

func (m *Metrics) orphaned(kind string, n int) {
	m.orphans.WithLabelValues(kind).Set(float64(n))
}

func (m *Metrics) holds(kind string, n int) {
	m.held.WithLabelValues(kind).Set(float64(n))
}

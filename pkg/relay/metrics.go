// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/component-base/metrics"
)

const (
	metricsNamespace, metricsSubsystem = "garret", "relay"

	// Directions of bytes, as the virtual cluster sees them.
	directionIn, directionOut = "in", "out"
	// Kinds of streams.
	kindTunnel, kindWatch, kindOther = "tunnel", "watch", "other"
	// kindHeld are requests that wait until their virtual cluster is awake.
	kindHeld = "held"
)

// Metrics are what a relay counts. No label holds the name of anything that a
// user can make, so their number is bounded.
type Metrics struct {
	requests    *metrics.CounterVec
	duration    *metrics.HistogramVec
	firstByte   *metrics.Histogram
	overhead    *metrics.Histogram
	bytes       *metrics.CounterVec
	streams     *metrics.GaugeVec
	credentials *metrics.Counter
	rejections  *metrics.Counter
	dialErrors  *metrics.CounterVec
}

// NewMetrics makes metrics and has them registered, unless a relay in this
// process has been there before: then these count for nobody. Without a
// register function they count for nobody either.
func NewMetrics(register func(metrics.Registerable) error) (*Metrics, error) {
	quick := metrics.ExponentialBuckets(0.0001, 2, 16)
	m := &Metrics{
		requests: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "requests_total", StabilityLevel: metrics.ALPHA,
			Help: "Requests into virtual clusters, by verb inside, class of the status code, and reason, which only answers of the relay itself have.",
		}, []string{"verb", "code", "reason"}),
		duration: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "request_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: metrics.ExponentialBuckets(0.001, 2, 16),
			Help: "Duration of requests that are not long-running, the answer's body included, by verb inside.",
		}, []string{"verb"}),
		firstByte: metrics.NewHistogram(&metrics.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "first_byte_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: quick,
			Help: "Time from sending a request inside, connecting included, to the header of its answer.",
		}),
		overhead: metrics.NewHistogram(&metrics.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "overhead_duration_seconds", StabilityLevel: metrics.ALPHA, Buckets: quick,
			Help: "Time that the relay took to check a request before it sent it inside.",
		}),
		bytes: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "bytes_total", StabilityLevel: metrics.ALPHA,
			Help: "Bytes of bodies and tunnels carried into (in) and out of (out) virtual clusters.",
		}, []string{"direction"}),
		streams: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "open_streams", StabilityLevel: metrics.ALPHA,
			Help: "Tunnels, watches and other long-running requests that are open, and requests that are held until their virtual cluster is awake.",
		}, []string{"kind"}),
		credentials: metrics.NewCounter(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "credential_renewals_total", StabilityLevel: metrics.ALPHA,
			Help: "Certificates with which the relay began to enter virtual clusters.",
		}),
		rejections: metrics.NewCounter(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "credential_rejections_total", StabilityLevel: metrics.ALPHA,
			Help: "Requests whose certificate the API server inside did not accept.",
		}),
		dialErrors: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "dial_errors_total", StabilityLevel: metrics.ALPHA,
			Help: "Connections to virtual clusters that did not come about: unreachable, or another server was there (identity).",
		}, []string{"reason"}),
	}
	if register == nil {
		return m, nil
	}
	for _, metric := range []metrics.Registerable{
		m.requests, m.duration, m.firstByte, m.overhead, m.bytes, m.streams, m.credentials, m.rejections, m.dialErrors,
	} {
		if err := register(metric); err != nil && !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
			return nil, fmt.Errorf("register metrics of the relay: %w", err)
		}
	}
	return m, nil
}

// record is what becomes known of one request on its way.
type record struct {
	begin, sent, answered time.Time
	verb, reason          string
	code                  int
	long                  bool
	// held is how long the request waited for its virtual cluster to wake.
	held time.Duration
}

// failed notes that the relay answers instead of the API server inside.
func (r *record) failed(status *apierrors.StatusError) {
	r.code, r.reason = int(status.ErrStatus.Code), string(status.ErrStatus.Reason)
	if details := status.ErrStatus.Details; details != nil && len(details.Causes) == 1 && r.code >= http.StatusInternalServerError {
		r.reason = hopReason(string(details.Causes[0].Type))
	}
}

// hopReason bounds the number of reasons: a status may give any.
func hopReason(reason string) string {
	switch reason {
	case "NoCredential", "CredentialRefused", "CredentialRenewed", "WrongIdentity", "Unreachable", "ConnectionLost", "Timeout",
		"ShuttingDown", "UnexpectedUpgrade", "UpgradeFailed", "MalformedAnswer", "Redirect", "NoReview",
		"Asleep", "FallingAsleep", "Waking", "RightsNotLoaded":
		return reason
	}
	return "NotReady"
}

// verbOf is the verb of a request that has no path inside.
func verbOf(method string) string {
	if checkMethod(method) != nil {
		return "other"
	}
	return strings.ToLower(method)
}

// finish counts a request that is done. Without a code its caller went away
// before there was an answer.
func (m *Metrics) finish(r *record) {
	code := "none"
	if r.code > 0 {
		code = strconv.Itoa(r.code/100) + "xx"
	}
	m.requests.WithLabelValues(r.verb, code, r.reason).Inc()
	if !r.sent.IsZero() {
		m.overhead.Observe((r.sent.Sub(r.begin) - r.held).Seconds())
	}
	if r.answered.IsZero() {
		return
	}
	m.firstByte.Observe(r.answered.Sub(r.sent).Seconds())
	if !r.long {
		m.duration.WithLabelValues(r.verb).Observe((time.Since(r.begin) - r.held).Seconds())
	}
}

// open counts a stream until the function that it returns is called.
func (m *Metrics) open(kind string) (closed func()) {
	gauge := m.streams.WithLabelValues(kind)
	gauge.Inc()
	return gauge.Dec
}

// carried counts bytes as they go.
func (m *Metrics) carried(direction string, n int) {
	m.bytes.WithLabelValues(direction).Add(float64(n))
}

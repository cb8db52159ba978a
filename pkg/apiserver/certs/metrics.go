// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/component-base/metrics"
)

// Metrics say until when the certificates are good.
type Metrics struct{ expiration *metrics.GaugeVec }

// NewMetrics makes metrics and has them registered, unless another keeper in
// this process has been there before: then these count for nobody.
func NewMetrics(register func(metrics.Registerable) error) (*Metrics, error) {
	m := &Metrics{expiration: metrics.NewGaugeVec(&metrics.GaugeOpts{
		Namespace: "garret", Subsystem: "apiserver", Name: "certificate_expiration_timestamp_seconds", StabilityLevel: metrics.ALPHA,
		Help: "When each of the certificates that garret-apiserver makes itself ends, in seconds since the epoch.",
	}, []string{"certificate"})}
	if err := register(m.expiration); err != nil && !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
		return nil, fmt.Errorf("register metrics of certificates: %w", err)
	}
	return m, nil
}

func (m *Metrics) observe(material *Material) {
	if m == nil {
		return
	}
	for name, pair := range map[string]*Pair{"authority": material.Authority, "serving": material.Serving, "client": material.Client} {
		m.expiration.WithLabelValues(name).Set(float64(pair.Certificate.NotAfter.Unix()))
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/storage/guarded"
)

const (
	// probeInterval is how often the datastore is asked whether it answers, and
	// probeTimeout how long it may take: the API server's own check has the same limit.
	probeInterval = 2 * time.Second
	probeTimeout  = 2 * time.Second
	// remindInterval is how often a trouble that lasts is logged again.
	remindInterval = time.Minute
	// probeKey is written while writes fail, to learn when they no longer do. It
	// lies outside of what the API server stores.
	probeKey = "/garret/probe"
)

// monitor knows whether the datastore can be used, and says so in the log.
type monitor struct {
	logger   klog.Logger
	backend  server.Backend
	embedded bool

	mu sync.Mutex
	// reading and writing are what keeps from either, or nil.
	reading, writing error
	since, told      time.Time
}

func newMonitor(logger klog.Logger, backend server.Backend, embedded bool) *monitor {
	return &monitor{logger: logger.WithName("datastore"), backend: backend, embedded: embedded}
}

// ready says what is wrong, or nothing.
func (m *monitor) ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trouble()
}

func (m *monitor) trouble() error {
	switch {
	case m.reading != nil:
		return fmt.Errorf("the datastore does not answer: %w", m.reading)
	case m.writing != nil:
		return fmt.Errorf("the datastore takes no writes: %w", m.writing)
	}
	return nil
}

// refused hears of a write that failed.
func (m *monitor) refused(err error) {
	m.update(func() { m.writing = err })
}

// run asks the datastore until ctx ends.
func (m *monitor) run(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		reading := m.read(ctx)
		if ctx.Err() != nil {
			return
		}
		m.update(func() { m.reading = reading })
		m.mu.Lock()
		test := m.writing != nil && reading == nil
		m.mu.Unlock()
		if test {
			if writing := m.write(ctx); ctx.Err() == nil {
				m.update(func() { m.writing = writing })
			}
		}
	}
}

func (m *monitor) read(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, _, err := m.backend.Get(limited, server.HealthKey, 0, true)
	return late(limited, err)
}

// write tries a write of our own: nobody else's arrives while we are not ready.
func (m *monitor) write(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var refusal error
	probe := guarded.Guard(m.backend, func(err error) { refusal = err })
	_, stored, err := probe.Get(limited, probeKey, 0, true)
	switch {
	case err != nil:
	case stored == nil:
		_, err = probe.Create(limited, probeKey, nil, 0)
	default:
		_, _, _, err = probe.Update(limited, probeKey, nil, stored.ModRevision, 0)
	}
	if refusal != nil {
		return refusal
	}
	return late(limited, err)
}

// late names the limit instead of the word deadline.
func late(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", probeTimeout)
	}
	return err
}

// update changes what is known, and logs what that changes.
func (m *monitor) update(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	now := time.Now()
	switch trouble := m.trouble(); {
	case trouble == nil && !m.since.IsZero():
		m.logger.Info("The datastore can be used again", "after", now.Sub(m.since).Round(time.Millisecond))
		m.since, m.told = time.Time{}, time.Time{}
	case trouble != nil && now.Sub(m.told) >= remindInterval:
		if m.since.IsZero() {
			m.since = now
		}
		m.told = now
		m.logger.Error(trouble, "The datastore cannot be used; not ready, and requests fail until it can", "remedy", remedy(trouble, m.embedded))
	}
}

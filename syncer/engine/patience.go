// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// failingPatience is how long the host may fail before the syncer tells a tenant: longer
// than a restart of its API server or of a webhook should take.
const failingPatience = 10 * time.Second

// patience knows since when the host has failed for an object.
type patience struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	since map[types.NamespacedName]time.Time
}

func newPatience(clock clock.PassiveClock) *patience {
	return &patience{clock: clock, since: map[types.NamespacedName]time.Time{}}
}

// lasts takes down whether the host failed, and tells whether it has for long.
func (p *patience) lasts(key types.NamespacedName, failed bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !failed {
		delete(p.since, key)
		return false
	}
	begin, known := p.since[key]
	if !known {
		begin = p.clock.Now()
		p.since[key] = begin
	}
	return p.clock.Since(begin) >= failingPatience
}

// forget is called when there is no such object any more.
func (p *patience) forget(key types.NamespacedName) { p.lasts(key, false) }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"slices"
	"sync"

	"k8s.io/client-go/tools/cache"
)

// shares of the workers are what one namespace may occupy at a time: a quarter.
const shares = 4

// share bounds how many passes one namespace has at a time. A pass waits for the host,
// and how long that takes may be up to whoever works in the namespace.
type share struct {
	most int

	mu   sync.Mutex
	busy map[string]int
	// parked are names that came up while their namespace had its share, each once.
	parked map[string][]cache.ObjectName
}

func newShare(workers int) *share {
	return &share{most: max(1, workers/shares), busy: map[string]int{}, parked: map[string][]cache.ObjectName{}}
}

// enter says whether a pass may begin. It keeps the name for later where it may not.
func (s *share) enter(name cache.ObjectName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[name.Namespace] < s.most {
		s.busy[name.Namespace]++
		return true
	}
	if !slices.Contains(s.parked[name.Namespace], name) {
		s.parked[name.Namespace] = append(s.parked[name.Namespace], name)
	}
	return false
}

// leave ends a pass, and returns the name of the namespace that has waited longest.
func (s *share) leave(name cache.ObjectName) (waited cache.ObjectName, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[name.Namespace]--; s.busy[name.Namespace] == 0 {
		delete(s.busy, name.Namespace)
	}
	parked := s.parked[name.Namespace]
	if len(parked) == 0 {
		return cache.ObjectName{}, false
	}
	if s.parked[name.Namespace] = parked[1:]; len(parked) == 1 {
		delete(s.parked, name.Namespace)
	}
	return parked[0], true
}

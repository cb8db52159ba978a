// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/clock"
)

// ErrUnknown says that nothing can be charged yet: the bounds, or what is on the host,
// have not been read.
var ErrUnknown = errors.New("the syncer does not know the quota of the virtual cluster yet")

// ExceededError says that a write asks for more than there is.
type ExceededError struct{ message string }

func (e *ExceededError) Error() string { return e.message }

// UnstatedError says that a pod does not say how much it takes of what is bounded.
type UnstatedError struct{ message string }

func (e *UnstatedError) Error() string { return e.message }

// Bounds are what a virtual cluster is held to.
type Bounds struct {
	// Hard is the most of each resource.
	Hard corev1.ResourceList
	// Limits are those of the LimitRange in the host namespace, as far as it is known.
	Limits []corev1.LimitRangeItem
}

// Ledger adds up what a virtual cluster has on the host. It is safe for concurrent use.
type Ledger struct {
	owner string
	clock clock.PassiveClock

	mu     sync.Mutex
	known  bool
	bounds Bounds
	// used is what all entries are charged.
	used     corev1.ResourceList
	changed  chan struct{}
	widening []func()
}

// New returns the ledger of the VirtualCluster of this name. Nothing can be charged
// before Set.
func New(namespace, name string, clock clock.PassiveClock) *Ledger {
	return &Ledger{owner: namespace + "/" + name, clock: clock, used: corev1.ResourceList{}, changed: make(chan struct{}, 1)}
}

// Set says what the virtual cluster is held to from now on.
func (l *Ledger) Set(bounds Bounds) {
	l.mu.Lock()
	if l.known && equality.Semantic.DeepEqual(l.bounds, bounds) {
		l.mu.Unlock()
		return
	}
	l.known, l.bounds = true, bounds
	widening := slices.Clone(l.widening)
	l.mu.Unlock()
	l.note()
	for _, do := range widening {
		do()
	}
}

// OnSet has the function called after each Set that changes something.
func (l *Ledger) OnSet(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.widening = append(l.widening, do)
}

// Changed has something to read after a change.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

func (l *Ledger) note() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Status is what is bounded, and how much of it is used; known after the first Set.
func (l *Ledger) Status() (hard, used corev1.ResourceList, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used = corev1.ResourceList{}
	for name := range l.bounds.Hard {
		used[name] = l.used[name].DeepCopy()
	}
	return l.bounds.Hard.DeepCopy(), used, l.known
}

// exceeded says what is short, and who can give more.
func (l *Ledger) exceeded(short []corev1.ResourceName, more corev1.ResourceList) string {
	list := func(of corev1.ResourceList) string {
		var each []string
		for _, name := range short {
			quantity := of[name]
			each = append(each, fmt.Sprintf("%s=%s", name, quantity.String()))
		}
		return strings.Join(each, ",")
	}
	var fields []string
	for _, name := range short {
		fields = append(fields, fmt.Sprintf("spec.isolation.quota.hard[%s]", name))
	}
	return fmt.Sprintf("exceeded quota of the virtual cluster: requested %s, used %s, limited %s; the owner of the VirtualCluster %s can raise %s",
		list(more), list(l.used), list(l.bounds.Hard), l.owner, strings.Join(fields, " and "))
}

func add(to, what corev1.ResourceList) {
	for name, quantity := range what {
		sum := to[name]
		sum.Add(quantity)
		to[name] = sum
	}
}

func subtract(from, what corev1.ResourceList) {
	for name, quantity := range what {
		rest := from[name]
		rest.Sub(quantity)
		from[name] = rest
	}
}

// stated are the resources that each container has to name where they are bounded,
// as it is with a ResourceQuota.
var stated = []struct {
	name corev1.ResourceName
	of   func(corev1.ResourceRequirements) corev1.ResourceList
	is   corev1.ResourceName
}{
	{corev1.ResourceLimitsCPU, limitsOf, corev1.ResourceCPU},
	{corev1.ResourceLimitsMemory, limitsOf, corev1.ResourceMemory},
	{corev1.ResourceRequestsCPU, requestsOf, corev1.ResourceCPU},
	{corev1.ResourceRequestsMemory, requestsOf, corev1.ResourceMemory},
}

func limitsOf(r corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }

// requestsOf are the limits where there are no requests, as everywhere.
func requestsOf(r corev1.ResourceRequirements) corev1.ResourceList {
	requests := maps.Clone(r.Limits)
	if requests == nil {
		requests = corev1.ResourceList{}
	}
	maps.Copy(requests, r.Requests)
	return requests
}

// unstated says which of the bounded resources which containers do not name.
func unstated(pod *corev1.Pod, hard corev1.ResourceList) []string {
	var missing []string
	for _, each := range stated {
		if _, bounded := hard[each.name]; !bounded {
			continue
		}
		if pod.Spec.Resources != nil {
			if _, whole := each.of(*pod.Spec.Resources)[each.is]; whole {
				continue
			}
		}
		var containers []string
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			if _, names := each.of(container.Resources)[each.is]; !names {
				containers = append(containers, container.Name)
			}
		}
		if len(containers) > 0 {
			missing = append(missing, fmt.Sprintf("%s for: %s", each.name, strings.Join(containers, ",")))
		}
	}
	return missing
}

// withDefaults is the pod as the API server of the host will have it: a request that is
// missing is the limit, and what is missing of both is the LimitRange's default.
func withDefaults(pod *corev1.Pod, limits []corev1.LimitRangeItem) *corev1.Pod {
	pod = pod.DeepCopy()
	fill := func(containers []corev1.Container) {
		for i := range containers {
			resources := &containers[i].Resources
			resources.Requests = requestsOf(*resources)
			if resources.Limits == nil {
				resources.Limits = corev1.ResourceList{}
			}
			for _, item := range limits {
				if item.Type != corev1.LimitTypeContainer {
					continue
				}
				// Its own defaults are the bounds that it sets.
				for _, from := range []corev1.ResourceList{item.Default, item.Max} {
					missing(resources.Limits, from)
				}
				for _, from := range []corev1.ResourceList{item.DefaultRequest, item.Default, item.Max, item.Min} {
					missing(resources.Requests, from)
				}
			}
		}
	}
	fill(pod.Spec.InitContainers)
	fill(pod.Spec.Containers)
	return pod
}

// missing gives to what it does not have.
func missing(to, from corev1.ResourceList) {
	for name, quantity := range from {
		if _, has := to[name]; !has {
			to[name] = quantity
		}
	}
}

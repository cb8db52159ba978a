// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"slices"
)

// preempt finds the node where the least has to end for the pod, and who has to.
func (p *planner) preempt(pod Pod, open []string) (string, []Pod) {
	if pod.Peaceful {
		return "", nil
	}
	best, least := "", []Pod(nil)
	for _, node := range open {
		victims := p.victims(pod, node)
		if len(victims) > 0 && (best == "" || less(victims, least)) {
			best, least = node, victims
		}
	}
	return best, least
}

// victims are the fewest and least important pods on the node that have to end for the
// pod; none where that does not help.
func (p *planner) victims(pod Pod, node string) []Pod {
	room := Amounts{}
	room.add(p.soon[node], 1)
	var below []Pod
	for _, other := range p.on[node] {
		_, chosen := p.plan.Victims[other.UID]
		if other.Ending || chosen || other.Priority >= pod.Priority || !overlaps(other.Wants, pod.Wants) {
			continue
		}
		below = append(below, other)
		room.add(other.Wants, 1)
	}
	if !room.has(pod.Wants) {
		return nil
	}
	// Who a budget protects is spared first, then who is more important, then who is older. Of those
	// of one second, sparing the small ones ends the fewest.
	slices.SortStableFunc(below, func(a, b Pod) int {
		return cmp.Or(-compareBool(a.Guarded(), b.Guarded()), cmp.Compare(b.Priority, a.Priority), a.Created.Compare(b.Created),
			cmp.Compare(a.Wants.shared(pod.Wants), b.Wants.shared(pod.Wants)), cmp.Compare(a.UID, b.UID))
	})
	var victims []Pod
	for _, other := range below {
		room.add(other.Wants, -1)
		if !room.has(pod.Wants) {
			room.add(other.Wants, 1)
			victims = append(victims, other)
		}
	}
	return victims
}

// shared is how much there is of what another asks for, all resources together.
func (a Amounts) shared(wanted Amounts) (sum int64) {
	for name := range wanted {
		sum += a[name]
	}
	return sum
}

func overlaps(a, b Amounts) bool {
	for name := range a {
		if _, wanted := b[name]; wanted {
			return true
		}
	}
	return false
}

// less tells whether less is lost with some victims than with others: fewer that a budget
// protects, then a lower highest priority, then a lower sum of priorities, then fewer, then younger ones.
func less(some, others []Pod) bool {
	weigh := func(victims []Pod) (guarded int, highest int32, sum int64) {
		highest = victims[0].Priority
		for _, victim := range victims {
			if victim.Guarded() {
				guarded++
			}
			highest = max(highest, victim.Priority)
			// As in Kubernetes, so that a few of low priority do not outweigh each other's signs.
			sum += int64(victim.Priority) + int64(1)<<31
		}
		return guarded, highest, sum
	}
	guarded, highest, sum := weigh(some)
	otherGuarded, otherHighest, otherSum := weigh(others)
	return cmp.Or(cmp.Compare(guarded, otherGuarded), cmp.Compare(highest, otherHighest), cmp.Compare(sum, otherSum), cmp.Compare(len(some), len(others))) < 0
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

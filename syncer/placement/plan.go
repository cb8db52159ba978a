// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Amounts are how much there is of resources. Extended ones are counted in whole numbers.
type Amounts map[corev1.ResourceName]int64

// AmountsOf are those of the resources in the list that the function names.
func AmountsOf(list corev1.ResourceList, counts func(corev1.ResourceName) bool) Amounts {
	amounts := Amounts{}
	for name, quantity := range list {
		if whole := quantity.Value(); counts(name) && whole > 0 {
			amounts[name] = whole
		}
	}
	return amounts
}

// has tells whether all that is wanted is there.
func (a Amounts) has(wanted Amounts) bool {
	for name, amount := range wanted {
		if a[name] < amount {
			return false
		}
	}
	return true
}

func (a Amounts) add(other Amounts, factor int64) {
	for name, amount := range other {
		a[name] += factor * amount
	}
}

// Node is a node inside.
type Node struct {
	Name string
	// Has are the resources that only nodes inside have.
	Has Amounts
}

// Pod is a pod that asks for such resources.
type Pod struct {
	UID      types.UID
	Priority int32
	Created  time.Time
	Wants    Amounts
	// Node is where it is, or was given to; empty while it waits.
	Node string
	// Ending says that it is being deleted, and takes room until it is gone.
	Ending bool
	// Nominated is the node where others were preempted for it.
	Nominated string
	// Peaceful says that it preempts nobody.
	Peaceful bool
	// Guarded tells whether a disruption budget would have it stay. It is asked for when
	// something depends on it.
	Guarded func() bool
	// May tells whether it may be on the node, whatever there is of the resources.
	May func(node string) bool
}

// Plan is what becomes of pods that wait.
type Plan struct {
	// Placed gives pods their nodes.
	Placed map[types.UID]string
	// Nominated are the nodes where pods wait for others to end.
	Nominated map[types.UID]string
	// Victims are to end, for the pod that each makes room for.
	Victims map[types.UID]types.UID
	// Short says of pods that get nothing which resource nodes had too little of, by
	// how many nodes.
	Short map[types.UID]map[corev1.ResourceName]int
}

// planner is a plan in the making.
type planner struct {
	nodes []Node
	// on are the pods of each node.
	on map[string][]Pod
	// free is the room that there is, soon what there will be once those that end have ended; both
	// without what is kept for others. What is free will be so soon.
	free, soon map[string]Amounts
	plan       Plan
}

// New makes a plan.
func New(nodes []Node, pods []Pod) Plan {
	p := &planner{nodes: slices.Clone(nodes), on: map[string][]Pod{}, free: map[string]Amounts{}, soon: map[string]Amounts{}, plan: Plan{
		Placed: map[types.UID]string{}, Nominated: map[types.UID]string{}, Victims: map[types.UID]types.UID{}, Short: map[types.UID]map[corev1.ResourceName]int{},
	}}
	slices.SortFunc(p.nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	for _, node := range nodes {
		p.free[node.Name], p.soon[node.Name] = maps.Clone(node.Has), maps.Clone(node.Has)
	}
	var waiting []Pod
	for _, pod := range pods {
		if pod.Node == "" {
			if !pod.Ending {
				waiting = append(waiting, pod)
			}
			continue
		}
		if free, known := p.free[pod.Node]; known {
			p.on[pod.Node] = append(p.on[pod.Node], pod)
			free.add(pod.Wants, -1)
			if !pod.Ending {
				p.soon[pod.Node].add(pod.Wants, -1)
			}
		}
	}
	slices.SortStableFunc(waiting, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID))
	})
	for _, pod := range waiting {
		p.decide(pod)
	}
	return p.plan
}

// decide sees to one pod, after all those before it.
func (p *planner) decide(pod Pod) {
	var open []string
	for _, node := range p.nodes {
		if pod.May(node.Name) {
			open = append(open, node.Name)
		}
	}
	fits := func(room map[string]Amounts) string {
		best := ""
		for _, node := range open {
			if !room[node].has(pod.Wants) {
				continue
			}
			if node == pod.Nominated {
				return node
			}
			if best == "" || p.left(node, pod.Wants) > p.left(best, pod.Wants) {
				best = node
			}
		}
		return best
	}
	if node := fits(p.free); node != "" {
		p.take(pod, node)
		p.plan.Placed[pod.UID] = node
		return
	}
	if node := fits(p.soon); node != "" {
		// It waits for the room that comes, and nobody else gets it.
		p.take(pod, node)
		p.plan.Nominated[pod.UID] = node
		return
	}
	if node, victims := p.preempt(pod, open); node != "" {
		for _, victim := range victims {
			p.soon[node].add(victim.Wants, 1)
			p.plan.Victims[victim.UID] = pod.UID
		}
		p.take(pod, node)
		p.plan.Nominated[pod.UID] = node
		return
	}
	p.plan.Short[pod.UID] = p.short(pod, open)
}

func (p *planner) take(pod Pod, node string) {
	p.free[node].add(pod.Wants, -1)
	p.soon[node].add(pod.Wants, -1)
}

// left is how much a node would have left of what it has least of, in thousandths.
func (p *planner) left(node string, wanted Amounts) int64 {
	at := slices.IndexFunc(p.nodes, func(n Node) bool { return n.Name == node })
	least := int64(1000)
	for name, amount := range wanted {
		if has := p.nodes[at].Has[name]; has > 0 {
			least = min(least, int64(1000*(float64(p.free[node][name]-amount)/float64(has))))
		}
	}
	return least
}

// short counts the nodes that have too little of each resource.
func (p *planner) short(pod Pod, open []string) map[corev1.ResourceName]int {
	short := map[corev1.ResourceName]int{}
	for _, node := range open {
		for name, amount := range pod.Wants {
			if p.free[node][name] < amount {
				short[name]++
			}
		}
	}
	return short
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/placement"
	"garret.dev/garret/syncer/translate"
)

const (
	reasonPreempted        = "Preempted"
	reasonFailedScheduling = "FailedScheduling"
	// annotationPlace on a host pod is the node that the syncer chose.
	annotationPlace = "garret.dev/place"
	// placeAgain is how long a node is not tried again that the host did not give to the pod.
	placeAgain = time.Minute
)

// places keeps the room of resources that only nodes inside have. It is the scheduler of
// pods that ask for them, as far as these resources go. One pass is about all of them: who gets
// room depends on who else asks for it.
//
// What it decided is on the host, as an annotation of the pod there. It keeps only what is on its
// way there, and what the host has turned down.
type places struct {
	translator *translate.Translator
	virtual    *Virtual
	host       *Host
	nodes      *nodes
	inside     insideResources
	recorder   record.EventRecorder
	clock      clock.PassiveClock
	controller *engine.Controller
	// look has the pod be looked at.
	look func(types.NamespacedName)

	mu sync.Mutex
	// given are the nodes of pods that have none yet, by UID.
	given map[types.UID]string
	// turnedDown is since when the host does not give a node to a pod. Only passes use it.
	turnedDown map[types.UID]map[string]time.Time
}

// thePlaces is the key of the one pass.
func thePlaces(object any) []types.NamespacedName { return []types.NamespacedName{{Name: "places"}} }

// places adds the controller. It watches what is followed anyway.
func (b *builder) places(n *nodes) *places {
	p := &places{
		translator: b.Translator, virtual: b.Virtual, host: b.Host, nodes: n, recorder: b.Recorder, clock: b.Clock,
		inside: insideResources{b.Virtual, b.HostResources, b.Translator.Cluster().ID},
		given:  map[types.UID]string{}, turnedDown: map[types.UID]map[string]time.Time{},
	}
	p.controller = b.controller("places", 1, p)
	asking := func(object any) []types.NamespacedName {
		if len(extendedOf(object.(*corev1.Pod))) == 0 {
			return nil
		}
		return thePlaces(object)
	}
	b.watch(p.controller, b.Virtual.Pods.Informer(), asking)
	b.watch(p.controller, b.Host.Pods.Informer(), func(object any) []types.NamespacedName {
		if object.(*corev1.Pod).Annotations[annotationPlace] == "" {
			return nil
		}
		return thePlaces(object)
	})
	b.watch(p.controller, b.Virtual.Nodes.Informer(), func(object any) []types.NamespacedName {
		for name := range object.(*corev1.Node).Status.Capacity {
			if b.HostResources.tenants(name) {
				return thePlaces(object)
			}
		}
		return nil
	})
	b.HostResources.watch(func() { p.controller.Enqueue(types.NamespacedName{Name: "places"}) })
	return p
}

// of is the node that the pod is to have, and whether it waits for one.
func (p *places) of(virtual *corev1.Pod) (node string, waits bool) {
	if virtual.Spec.NodeName != "" || len(p.inside.of(virtual)) == 0 {
		return "", false
	}
	p.mu.Lock()
	node = p.given[virtual.UID]
	p.mu.Unlock()
	if node == "" {
		// A syncer that has just started knows it from the host alone.
		node = p.onHost(virtual)
	}
	return node, node == ""
}

// Reconcile makes a plan and carries it out.
func (p *places) Reconcile(ctx context.Context, _ types.NamespacedName) (time.Duration, error) {
	asking, virtuals := p.asking(ctx)
	plan := placement.New(p.inside.nodes(), asking)
	p.move(asking, virtuals, plan)
	p.give(plan.Placed, virtuals)
	var errs []error
	for uid, by := range plan.Victims {
		errs = append(errs, p.preempt(ctx, virtuals[uid], virtuals[by], plan.Nominated[by]))
	}
	for uid, node := range plan.Nominated {
		errs = append(errs, p.tell(ctx, virtuals[uid], node, "waiting for room on "+node+", where pods of lower priority are ending"))
	}
	for uid, short := range plan.Short {
		errs = append(errs, p.tell(ctx, virtuals[uid], "", p.lacks(short)))
	}
	again := time.Duration(0)
	if len(p.turnedDown) > 0 {
		again = placeAgain
	}
	return again, errors.Join(errs...)
}

// asking are the pods that ask for resources which only nodes inside have, and those that
// stand for them by UID. It forgets what is over.
func (p *places) asking(ctx context.Context) ([]placement.Pod, map[types.UID]*corev1.Pod) {
	var asking []placement.Pod
	virtuals := map[types.UID]*corev1.Pod{}
	mirrors := map[string]*corev1.Node{}
	for _, node := range p.virtual.Nodes.List() {
		if p.inside.isMirror(node) {
			mirrors[node.Name] = node
		}
	}
	shown := mirroredLabels(mirrors)
	guarded := sync.OnceValue(func() func(*corev1.Pod) bool { return p.guarded(ctx) })
	p.mu.Lock()
	defer p.mu.Unlock()
	given := map[types.UID]string{}
	for _, virtual := range p.virtual.Pods.List() {
		wants := p.inside.of(virtual)
		if len(wants) == 0 || terminated(virtual) || virtual.Spec.NodeName == "" && len(virtual.Spec.SchedulingGates) > 0 {
			continue
		}
		pod := placement.Pod{
			UID: virtual.UID, Priority: ptr.Deref(virtual.Spec.Priority, 0), Created: virtual.CreationTimestamp.Time, Wants: wants,
			Node: virtual.Spec.NodeName, Ending: virtual.DeletionTimestamp != nil, Nominated: virtual.Status.NominatedNodeName,
			Guarded:  func() bool { return guarded()(virtual) },
			Peaceful: ptr.Deref(virtual.Spec.PreemptionPolicy, corev1.PreemptLowerPriority) == corev1.PreemptNever,
			May: func(node string) bool {
				mirror, found := mirrors[node]
				return found && p.nodes.mayBeOn(virtual, mirror, shown)
			},
		}
		if pod.Node == "" {
			if pod.Node = p.given[virtual.UID]; pod.Node == "" {
				pod.Node = p.onHost(virtual)
			}
			if pod.Node != "" {
				given[virtual.UID] = pod.Node
			}
		}
		virtuals[virtual.UID] = virtual
		asking = append(asking, pod)
	}
	p.given = given
	maps.DeleteFunc(p.turnedDown, func(uid types.UID, _ map[string]time.Time) bool { return given[uid] == "" })
	return asking, virtuals
}

// onHost is the node that the pod has on the host, or asks for there.
func (p *places) onHost(virtual *corev1.Pod) string {
	host, found := p.twin(virtual)
	if !found {
		return ""
	}
	if host.Spec.NodeName != "" {
		return host.Spec.NodeName
	}
	return host.Annotations[annotationPlace]
}

func (p *places) twin(virtual *corev1.Pod) (*corev1.Pod, bool) {
	host, found := p.host.Pods.Get(p.translator.Cluster().HostNamespace, p.translator.HostName(virtual.Namespace, virtual.Name))
	if !found {
		return nil, false
	}
	identity, ours := p.translator.IdentityOf(host)
	return host, ours && identity.UID == virtual.UID
}

// give has pods go to the host, for the nodes that they got.
func (p *places) give(placed map[types.UID]string, virtuals map[types.UID]*corev1.Pod) {
	p.mu.Lock()
	maps.Copy(p.given, placed)
	p.mu.Unlock()
	for uid := range placed {
		p.look(engine.KeyOf(virtuals[uid]))
	}
}

// move gives another node to each pod that the host does not let onto its own, where there is
// one with room: the host's node may be full, or not be one that the pod may go to.
func (p *places) move(asking []placement.Pod, virtuals map[types.UID]*corev1.Pod, plan placement.Plan) {
	now := p.clock.Now()
	for i := range asking {
		pod := asking[i]
		virtual := virtuals[pod.UID]
		if pod.Node == "" || pod.Ending || virtual.Spec.NodeName != "" {
			continue
		}
		host, found := p.twin(virtual)
		if !found || host.Spec.NodeName != "" || host.Annotations[annotationPlace] != pod.Node {
			continue
		}
		if _, turned := unschedulable(host); !turned {
			continue
		}
		tried := p.turnedDown[pod.UID]
		maps.DeleteFunc(tried, func(_ string, since time.Time) bool { return now.Sub(since) >= placeAgain })
		if tried == nil {
			tried = map[string]time.Time{}
			p.turnedDown[pod.UID] = tried
		}
		tried[pod.Node] = now
		may := pod.May
		alone := pod
		alone.Node, alone.Peaceful, alone.Nominated = "", true, ""
		alone.May = func(node string) bool { _, was := tried[node]; return !was && may(node) }
		if node := p.instead(asking, alone, plan); node != "" {
			plan.Placed[pod.UID] = node
			asking[i].Node = node
		}
	}
}

// instead is a node for one pod, with all others where they are or go to.
func (p *places) instead(asking []placement.Pod, alone placement.Pod, plan placement.Plan) string {
	var settled []placement.Pod
	for _, other := range asking {
		if other.UID == alone.UID {
			continue
		}
		if other.Node == "" {
			// Room that is kept for others is none.
			if other.Node = plan.Placed[other.UID]; other.Node == "" {
				other.Node = plan.Nominated[other.UID]
			}
		}
		if other.Node != "" {
			settled = append(settled, other)
		}
	}
	return placement.New(p.inside.nodes(), append(settled, alone)).Placed[alone.UID]
}

// unschedulable tells that no scheduler finds a place for the pod, and why.
func unschedulable(pod *corev1.Pod) (why string, is bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return condition.Message, true
		}
	}
	return "", false
}

// preempt ends a pod for another one, as a scheduler does.
func (p *places) preempt(ctx context.Context, victim, by *corev1.Pod, node string) error {
	message := fmt.Sprintf("Preempted by pod %s on node %s", by.UID, node)
	changed := victim.DeepCopy()
	setPodCondition(&changed.Status, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler, ObservedGeneration: victim.Generation,
		Message: "the syncer: preempting to accommodate a higher priority pod", LastTransitionTime: metav1.NewTime(p.clock.Now()),
	})
	pods := p.virtual.Client.CoreV1().Pods(victim.Namespace)
	if _, err := pods.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("mark pod %s as preempted: %w", klog.KObj(victim), err)
	}
	err := pods.Delete(ctx, victim.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &victim.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("preempt pod %s: %w", klog.KObj(victim), err)
	}
	p.recorder.Event(victim, corev1.EventTypeNormal, reasonPreempted, message)
	klog.FromContext(ctx).V(2).Info("Preempted", "pod", klog.KObj(victim), "for", klog.KObj(by), "node", node)
	return nil
}

// tell writes into the pod's status why it waits, and on which node, and makes an Event of it.
func (p *places) tell(ctx context.Context, virtual *corev1.Pod, nominated, message string) error {
	if err := p.report(ctx, virtual, nominated, message); err != nil {
		return err
	}
	if before, waited := unschedulable(virtual); !waited || before != message {
		p.recorder.Event(virtual, corev1.EventTypeWarning, reasonFailedScheduling, message)
	}
	return nil
}

// report writes into the pod's status why it waits, and on which node.
func (p *places) report(ctx context.Context, virtual *corev1.Pod, nominated, message string) error {
	changed := virtual.DeepCopy()
	changed.Status.NominatedNodeName = nominated
	setPodCondition(&changed.Status, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		ObservedGeneration: virtual.Generation, LastTransitionTime: metav1.NewTime(p.clock.Now()),
	})
	if equality.Semantic.DeepEqual(virtual.Status, changed.Status) {
		return nil
	}
	_, err := p.virtual.Client.CoreV1().Pods(virtual.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("report why pod %s waits: %w", klog.KObj(virtual), err)
	}
	return nil
}

// setPodCondition sets a condition, unless it says nothing new.
func setPodCondition(status *corev1.PodStatus, condition corev1.PodCondition) {
	at := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == condition.Type })
	if at < 0 {
		status.Conditions = append(status.Conditions, condition)
		return
	}
	before := &status.Conditions[at]
	if before.Status == condition.Status && before.Reason == condition.Reason && before.Message == condition.Message {
		return
	}
	if before.Status == condition.Status {
		condition.LastTransitionTime = before.LastTransitionTime
	}
	*before = condition
}

// lacks says of which resource the nodes inside have too little, as a scheduler does.
func (p *places) lacks(short map[corev1.ResourceName]int) string {
	all := len(p.inside.nodes())
	if len(short) == 0 {
		return fmt.Sprintf("0/%d nodes inside are available: the pod may go to no node that has the resource.", all)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(short)) {
		parts = append(parts, fmt.Sprintf("%d Insufficient %s", short[name], name))
	}
	return fmt.Sprintf("0/%d nodes inside are available: %s.", all, strings.Join(parts, ", "))
}

// guarded tells which pods a disruption budget inside would have stay. Budgets are read only
// when something depends on them; where they cannot be read, they protect nobody, as they
// do not bind a scheduler either.
func (p *places) guarded(ctx context.Context) func(*corev1.Pod) bool {
	list, err := p.virtual.Client.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot read disruption budgets")
		return func(*corev1.Pod) bool { return false }
	}
	return func(pod *corev1.Pod) bool {
		return slices.ContainsFunc(list.Items, func(budget policyv1.PodDisruptionBudget) bool {
			selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
			return err == nil && budget.Namespace == pod.Namespace && budget.Status.DisruptionsAllowed <= 0 && selector.Matches(labels.Set(pod.Labels))
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

const (
	// serviceDNS is the Service of the DNS inside, in the namespace kube-system.
	serviceDNS = "kube-dns"
	// ReasonFailedMount is a kubelet's reason for a volume that it cannot make.
	ReasonFailedMount = "FailedMount"
	// reasonHostPodDeleted is the reason of a virtual pod whose host pod is gone.
	reasonHostPodDeleted = "HostPodDeleted"
	// dnsPatience is how long after the syncer's start a pod waits for the DNS
	// inside to get its address. Later, a cluster without one is meant to have none.
	dnsPatience = 15 * time.Second
	// knownPods is how many pods the syncer remembers to have seen.
	knownPods = 20_000
)

// pods carries pods to the host, and plays the scheduler and the kubelet inside:
// it binds a virtual pod to the node that the host chose, reports the status,
// and confirms the end.
type pods struct {
	translator *translate.Translator
	marker     Marker
	spec       podTranslator
	security   *isolation.PodSecurity
	virtual    *Virtual
	host       *Host
	tokens     Tokens
	nodes      *nodes
	// places are where pods go that ask for resources which only nodes inside have.
	places *places
	// before is what a pod needs on the host to begin, onNode what it needs there once
	// it has a node, whose kubelet waits for it.
	before, onNode []need
	environments   *environments
	classes        *engine.Store[*nodev1.RuntimeClass]
	recorder       record.EventRecorder
	// claims says that claims are synced.
	claims  bool
	clock   clock.PassiveClock
	started time.Time
	// hostPriority tells whether a pod may have the priority class of the host; nil for none.
	hostPriority func(name string) bool
	// policies are those of the tenant that are on the host; nil for none.
	policies *engine.Store[*networkingv1.NetworkPolicy]
	dormancy *dormancy.Dormancy
	// accounts are the ServiceAccounts of the tenant that are on the host; nil while they stay inside.
	accounts *engine.Store[*corev1.ServiceAccount]
	// devices are the claims of devices that go to the host; nil while they stay inside.
	devices *devices
	// known are the UIDs of the virtual pods that this syncer has seen last.
	known *lru.Cache
	// rejected are the UIDs of virtual pods that their nodes rejected last, bound those that this
	// syncer bound last.
	rejected, bound *lru.Cache
	// made are the ephemeral containers that this syncer made, as madeContainer.
	made *lru.Cache
}

var (
	_ engine.Kind[*corev1.Pod]        = &pods{}
	_ engine.Preparer[*corev1.Pod]    = &pods{}
	_ engine.FromHost[*corev1.Pod]    = &pods{}
	_ engine.HostUpdater[*corev1.Pod] = &pods{}
	_ engine.Ender[*corev1.Pod]       = &pods{}
	_ engine.Misser[*corev1.Pod]      = &pods{}
	_ engine.Referrer[*corev1.Pod]    = &pods{}
	_ engine.Remover[*corev1.Pod]     = &pods{}
	_ engine.Remaker[*corev1.Pod]     = &pods{}
	_ engine.Yielder[*corev1.Pod]     = &pods{}
	_ engine.Teller[*corev1.Pod]      = &pods{}
)

func (b *builder) pods() {
	environments := b.environments()
	b.Virtual.RuntimeClasses.Follow()
	b.tokens()
	b.Virtual.Namespaces.Follow()
	nodes := b.nodes()
	kind := &pods{
		translator: b.Translator, marker: b.marker(), security: b.PodSecurity, virtual: b.Virtual, host: b.Host, tokens: b.Tokens, dormancy: b.Dormancy,
		nodes: nodes, places: b.places(nodes), before: b.beforePods, onNode: b.onNodes, environments: environments, classes: b.Virtual.RuntimeClasses, hostPriority: b.hostPriority, accounts: b.accounts, devices: b.devices, recorder: b.Recorder, claims: b.Selection[tenancyv1.ResourceClaims],
		clock: b.Clock, started: b.Clock.Now(), known: lru.New(knownPods), rejected: lru.New(knownPods), bound: lru.New(knownPods), made: lru.New(knownContainers),
		spec: podTranslator{b.Translator, scheduling{b.Translator, b.namespaces}, b.Hosts, b.Exceptions, podRules{b.PodRules}},
	}
	controller := twin(b, podWorkers, kind, b.Virtual.Pods, b.Host.Pods)
	if b.policies != nil {
		kind.policies = b.policies
		b.watch(controller, b.policies.Informer(), kind.ofNamespace)
	}
	if b.devices != nil {
		b.devices.watch(b, controller)
	}
	b.sleeping(kind, controller)
	b.watch(controller, b.Virtual.Services.Informer(), kind.ofDNS)
	b.watch(controller, b.Virtual.Nodes.Informer(), kind.ofNode)
	kind.places.look = controller.Enqueue
	b.HostResources.watch(func() {
		for _, key := range kind.waiting("") {
			controller.Enqueue(key)
		}
	})
	// What violated the earlier level may go now.
	b.PodSecurity.Watch(func() {
		for _, pod := range b.Virtual.Pods.List() {
			controller.Enqueue(engine.KeyOf(pod))
		}
	})
}

// Wanted leaves out what runs elsewhere, and what is not to be scheduled yet.
func (p *pods) Wanted(_ context.Context, virtual *corev1.Pod) (bool, error) {
	p.known.Add(virtual.UID, nil)
	_, mirror := virtual.Annotations[corev1.MirrorPodAnnotationKey]
	if mirror || len(virtual.Spec.SchedulingGates) > 0 {
		return false, nil
	}
	if _, waits := p.places.of(virtual); waits {
		// One that is on the host already, without a place, is outdated: it goes from there as
		// it was seen, unless the host gives it a node first.
		_, found := p.places.twin(virtual)
		return found, nil
	}
	return true, nil
}

// ToHost fills a new host pod in, or brings what may change of one up to date.
func (p *pods) ToHost(_ context.Context, virtual, host *corev1.Pod) error {
	if host.UID != "" {
		p.refresh(virtual, host)
		return nil
	}
	if err := p.checkClaims(virtual); err != nil {
		return err
	}
	if err := p.checkNode(virtual); err != nil {
		return err
	}
	account, err := p.account(virtual)
	if err != nil {
		return err
	}
	claims, err := p.devices.claimsOf(virtual)
	if err != nil {
		return err
	}
	inputs := podInputs{
		environment: environmentNamesOf(p.translator, virtual.Namespace),
		nodes:       p.rules(virtual),
		inside:      resourceNamesOf(p.places.inside.of(virtual)),
		devices:     claims,
	}
	if usesClusterDNS(&virtual.Spec) {
		server, known := p.dns()
		if !known && p.clock.Since(p.started) < dnsPatience {
			return engine.Again("the DNS inside has no address yet")
		}
		inputs.dns = server
	}
	if NeedsSecret(virtual) {
		inputs.secret, inputs.tokenKeys = p.tokens.Names(virtual, TokenProjections(virtual))
	}
	spec, err := p.spec.spec(virtual, inputs)
	if err != nil {
		return err
	}
	host.Spec = *spec
	host.Spec.ServiceAccountName = account
	host.Spec.PriorityClassName = p.priorityClass(virtual.Spec.PriorityClassName)
	keepWaiting(&host.Spec)
	p.mark(virtual, host)
	return p.judge(host, &host.Spec)
}

// priorityClass is that on the host of the class inside: the one that a rule gives it, or the one of the name that is shown.
func (p *pods) priorityClass(inside string) string {
	if class, ruled := p.spec.rules.priorityClass(inside); ruled {
		return class
	}
	if p.hostPriority != nil && p.hostPriority(inside) {
		return inside
	}
	return ""
}

// dns is the address of the DNS inside.
func (p *pods) dns() (string, bool) {
	service, found := p.virtual.Services.Get(metav1.NamespaceSystem, serviceDNS)
	if !found || service.Spec.ClusterIP == corev1.ClusterIPNone {
		return "", false
	}
	return service.Spec.ClusterIP, service.Spec.ClusterIP != ""
}

// ofDNS names all pods when the DNS inside changes: some may wait for it.
func (p *pods) ofDNS(object any) []types.NamespacedName {
	service := object.(*corev1.Service)
	if service.Namespace != metav1.NamespaceSystem || service.Name != serviceDNS {
		return nil
	}
	var keys []types.NamespacedName
	for _, pod := range p.virtual.Pods.List() {
		keys = append(keys, engine.KeyOf(pod))
	}
	return keys
}

// FromHost binds the virtual pod as the host pod is bound, and reports the status.
func (p *pods) FromHost(ctx context.Context, virtual, host *corev1.Pod, carried bool) error {
	if virtual.Spec.NodeName == "" && host.Spec.NodeName != "" {
		if err := p.bind(ctx, virtual, host.Spec.NodeName); err != nil {
			return err
		}
		// The kubelet of the host has begun, and looks for what it needs.
		bound := virtual.DeepCopy()
		bound.Spec.NodeName = host.Spec.NodeName
		return bring(ctx, p.onNode, bound)
	}
	if terminated(virtual) && host.Spec.NodeName == "" {
		return p.endUnbegun(ctx, host)
	}
	if p.boundInside(virtual, host) {
		return p.waitsForNode(ctx, virtual)
	}
	if startsWaiting(host) {
		return p.waitsForScheduler(ctx, virtual, host)
	}
	if virtual.Spec.NodeName != "" && host.Spec.NodeName == "" {
		if why, rejected := rejectionOf(host); rejected {
			return p.reject(ctx, virtual, host, why)
		}
	}
	if p.isLost(virtual, host) {
		return p.reject(ctx, virtual, host, rejection{reasonNodeLost, "the node " + virtual.Spec.NodeName + " did not accept the pod again after the virtual cluster slept"})
	}
	var missing error
	if host.Spec.NodeName != "" {
		p.gotUp(virtual, host)
		// The node may have been deleted inside meanwhile.
		if err := p.nodes.ensure(ctx, host.Spec.NodeName); err != nil {
			return err
		}
		missing = bring(ctx, p.onNode, virtual)
	}
	_, refused := p.allowedEphemeral(virtual, host)
	if err := p.report(ctx, virtual, host, carried && refused == nil); err != nil {
		return errors.Join(missing, refused, err)
	}
	return errors.Join(missing, refused, p.passGates(ctx, virtual, host))
}

// bind is the scheduler's part. The change that it makes brings the pod back,
// with a status to report.
func (p *pods) bind(ctx context.Context, virtual *corev1.Pod, node string) error {
	if err := p.nodes.ensure(ctx, node); err != nil {
		return err
	}
	err := p.virtual.Client.CoreV1().Pods(virtual.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: virtual.Namespace, Name: virtual.Name, UID: virtual.UID},
		Target:     corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("bind to %s: %w", node, err)
	}
	p.bound.Add(virtual.UID, nil)
	klog.FromContext(ctx).V(2).Info("Bound", "pod", klog.KObj(virtual), "node", node)
	return nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// Workers per kind. A pass waits for API servers most of its time.
const (
	podWorkers   = 8
	otherWorkers = 3
)

// Selection says which kinds are synced.
type Selection map[string]bool

// Select takes the names of kinds to sync and not to sync.
func Select(enable, disable []string) (Selection, error) {
	return tenancyv1.SelectResources(enable, disable)
}

// Config is what the kinds are made of.
type Config struct {
	Translator *translate.Translator
	Virtual    *Virtual
	Host       *Host
	Tokens     Tokens
	// Recorder tells Events on virtual objects.
	Recorder record.EventRecorder
	Metrics  *engine.Metrics
	Clock    clock.PassiveClock
	// Evidence and Orphans are those of engine.TwinOptions.
	Evidence engine.Evidence
	Orphans  func(resource string, names []string)
	// Selection says which kinds are synced.
	Selection Selection
	// KubeletPort is where the syncer serves the kubelet's API.
	KubeletPort int32
	// KubeletVersion stands in nodes whose real version cannot be read.
	KubeletVersion string
}

// Register has the engine run the selected kinds.
func Register(e *engine.Engine, c Config) error {
	e.AddInformers(c.Virtual.Informers()...)
	e.AddInformers(c.Host.Informers()...)
	b := builder{engine: e, Config: c}
	b.configMaps()
	b.secrets()
	b.services()
	b.endpointSlices()
	b.claims()
	b.pods()
	return b.err
}

// builder makes the controllers of all kinds, and keeps the first error.
type builder struct {
	Config
	engine                    *engine.Engine
	configMapTwin, secretTwin engine.Reconciler
	err                       error
}

func core(resource string) schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(resource)
}

// twin adds the controller of a kind.
func twin[T engine.Object](b *builder, resource schema.GroupVersionResource, workers int, kind engine.Kind[T],
	virtual, host *engine.Store[T], create func() T) (*engine.Twin[T], *engine.Controller) {
	reconciler := engine.NewTwin(engine.TwinOptions[T]{
		Resource: resource, Kind: kind, Virtual: virtual, Host: host, New: create,
		Translator: b.Translator, Recorder: b.Recorder, Metrics: b.Metrics, Clock: b.Clock,
		Evidence: b.Evidence, Orphans: b.Orphans,
	})
	b.engine.AddTwins(reconciler)
	controller, err := reconciler.Controller(workers)
	b.add(controller, err)
	return reconciler, controller
}

func (b *builder) add(controller *engine.Controller, err error) {
	if err != nil {
		b.fail(err)
		return
	}
	b.engine.AddControllers(controller)
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// watch has the controller follow another kind.
func (b *builder) watch(controller *engine.Controller, informer cache.SharedIndexInformer, keys func(any) []types.NamespacedName) {
	if b.err == nil {
		b.fail(controller.Watch(informer, keys))
	}
}

func (b *builder) configMaps() {
	if !b.Selection[tenancyv1.ResourceConfigMaps] {
		return
	}
	kind := &configMaps{b.Translator, b.Virtual}
	reconciler, controller := twin(b, core(tenancyv1.ResourceConfigMaps), otherWorkers, kind, b.Virtual.ConfigMaps, b.Host.ConfigMaps,
		func() *corev1.ConfigMap { return &corev1.ConfigMap{} })
	b.configMapTwin = reconciler
	b.watch(controller, b.Virtual.Pods.Informer(), kind.ofPod)
}

func (b *builder) secrets() {
	if !b.Selection[tenancyv1.ResourceSecrets] {
		return
	}
	kind := &secrets{b.Translator, b.Virtual}
	reconciler, controller := twin(b, core(tenancyv1.ResourceSecrets), otherWorkers, kind, b.Virtual.Secrets, b.Host.Secrets,
		func() *corev1.Secret { return &corev1.Secret{} })
	b.secretTwin = reconciler
	b.watch(controller, b.Virtual.Pods.Informer(), kind.ofPod)
}

func (b *builder) services() {
	if !b.Selection[tenancyv1.ResourceServices] {
		return
	}
	twin(b, core(tenancyv1.ResourceServices), otherWorkers, &services{b.Translator, b.Virtual, b.Host}, b.Virtual.Services, b.Host.Services,
		func() *corev1.Service { return &corev1.Service{} })
}

func (b *builder) endpointSlices() {
	if !b.Selection[tenancyv1.ResourceEndpointSlices] {
		return
	}
	kind := &endpointSlices{b.Translator, b.Virtual}
	_, controller := twin(b, discoveryv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceEndpointSlices), otherWorkers, kind,
		b.Virtual.EndpointSlices, b.Host.EndpointSlices, func() *discoveryv1.EndpointSlice { return &discoveryv1.EndpointSlice{} })
	b.watch(controller, b.Virtual.Services.Informer(), kind.ofService)
}

func (b *builder) claims() {
	if !b.Selection[tenancyv1.ResourceClaims] {
		// Nothing deletes their host claims any more: nothing may hold them back.
		released := engine.NewController("claimsreleased", 1, &releasedClaims{b.Virtual}, b.Metrics)
		b.watch(released, b.Virtual.Claims.Informer(), engine.SameKey)
		b.add(released, nil)
		return
	}
	_, controller := twin(b, core(tenancyv1.ResourceClaims), otherWorkers, &claims{b.Translator, b.Virtual, b.Host, b.Recorder}, b.Virtual.Claims, b.Host.Claims,
		func() *corev1.PersistentVolumeClaim { return &corev1.PersistentVolumeClaim{} })
	mirror := &volumes{b.Virtual}
	// A volume that somebody deletes inside is made again from its claim.
	b.watch(controller, b.Virtual.Volumes.Informer(), ofVolume)
	removal := engine.NewController("persistentvolumes", 1, mirror, b.Metrics)
	b.watch(removal, b.Virtual.Volumes.Informer(), engine.SameKey)
	b.watch(removal, b.Virtual.Claims.Informer(), mirror.ofClaim)
	b.add(removal, nil)
}

// ofVolume names the claim that a volume was made for.
func ofVolume(object any) []types.NamespacedName {
	volume := object.(*corev1.PersistentVolume)
	if !isMirror(volume) || volume.Spec.ClaimRef == nil {
		return nil
	}
	return []types.NamespacedName{{Namespace: volume.Spec.ClaimRef.Namespace, Name: volume.Spec.ClaimRef.Name}}
}

func (b *builder) pods() {
	if !b.Selection[tenancyv1.ResourcePods] {
		return
	}
	capacity, err := machineCapacity()
	if err != nil {
		b.fail(err)
		return
	}
	nodes := &nodes{translator: b.Translator, virtual: b.Virtual, host: b.Host, kubeletPort: b.KubeletPort,
		kubeletVersion: b.KubeletVersion, capacity: capacity, clock: b.Clock, unused: map[string]time.Time{}}
	b.add(nodes.controller(b.Metrics))

	environments := &environments{b.Translator, b.Virtual, b.Host}
	b.add(environments.controller(b.Metrics))

	kind := &pods{
		translator: b.Translator, virtual: b.Virtual, host: b.Host, tokens: b.Tokens,
		nodes: nodes, environment: environments, configMaps: b.configMapTwin, secrets: b.secretTwin,
		clock: b.Clock, started: b.Clock.Now(), known: lru.New(knownPods),
		spec: podTranslator{b.Translator, scheduling{b.Translator, b.namespaces}},
	}
	_, controller := twin(b, core(tenancyv1.ResourcePods), podWorkers, kind, b.Virtual.Pods, b.Host.Pods, func() *corev1.Pod { return &corev1.Pod{} })
	b.watch(controller, b.Virtual.Services.Informer(), kind.ofDNS)
	if b.Selection[tenancyv1.ResourceEvents] {
		b.engine.AddTask(newEvents(b.Translator, b.Virtual, b.Host).run)
	}
}

// namespaces lists the virtual namespaces that the selector matches.
func (b *builder) namespaces(selector *metav1.LabelSelector) ([]string, error) {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("namespace selector: %w", err)
	}
	var names []string
	for _, namespace := range b.Virtual.Namespaces.List() {
		if matches.Matches(labels.Set(namespace.Labels)) {
			names = append(names, namespace.Name)
		}
	}
	return names, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// An event can arrive before the pod that it is about: it is looked at again
	// this often, at this interval.
	eventAttempts = 4
	eventInterval = 300 * time.Millisecond
	// eventBacklog is how many events wait before the watch is slowed down.
	eventBacklog = 256
)

// events copies the host's Events about synced objects to those inside: scheduling,
// image pulls, probes, mounts, balancers, certificates. They are not cached; each is
// written inside under a name that follows from its own, so that one seen twice is one.
type events struct {
	translator *translate.Translator
	virtual    *Virtual
	host       *Host
	clock      clock.Clock
	// subjects find the host objects that events are about, by kind.
	subjects map[string]eventSubject
	queue    chan pendingEvent
}

// eventSubject is a kind that events of the host are about.
type eventSubject struct {
	// host finds the host object.
	host func(namespace, name string) (metav1.Object, bool)
	// references are the names of others that the host may say of the object inside.
	references func(virtual types.NamespacedName) []string
}

// subjectOf makes one of both sides of a kind.
func subjectOf[T engine.Object](virtual, host *engine.Store[T], references func(T) []string) eventSubject {
	return eventSubject{
		host: func(namespace, name string) (metav1.Object, bool) { return get(host.Get(namespace, name)) },
		references: func(key types.NamespacedName) []string {
			object, found := virtual.Get(key.Namespace, key.Name)
			if !found || references == nil {
				return nil
			}
			return references(object)
		},
	}
}

// eventSubjects are those of the kinds that are synced.
func (b *builder) eventSubjects() map[string]eventSubject {
	all := map[string]struct {
		kind    string
		subject eventSubject
	}{
		tenancyv1.ResourcePods:      {"Pod", subjectOf(b.Virtual.Pods, b.Host.Pods, func(pod *corev1.Pod) []string { return referencesOf(pod).all() })},
		tenancyv1.ResourceClaims:    {"PersistentVolumeClaim", subjectOf(b.Virtual.Claims, b.Host.Claims, nil)},
		tenancyv1.ResourceServices:  {"Service", subjectOf(b.Virtual.Services, b.Host.Services, nil)},
		tenancyv1.ResourceIngresses: {"Ingress", subjectOf(b.Virtual.Ingresses, b.Host.Ingresses, ingressReferences)},
	}
	subjects := map[string]eventSubject{}
	if b.devices != nil {
		subjects["ResourceClaim"] = subjectOf(b.devices.virtual, b.devices.host, nil)
	}
	for resource, each := range all {
		if b.Selection[resource] {
			subjects[each.kind] = each.subject
		}
	}
	return subjects
}

type pendingEvent struct {
	event   *corev1.Event
	attempt int
}

// events adds their task. An event of a kind that is not synced is about nobody.
func (b *builder) events() {
	if !b.Selection[tenancyv1.ResourcePods] {
		return
	}
	e := &events{translator: b.Translator, virtual: b.Virtual, host: b.Host, clock: b.Clock,
		subjects: b.eventSubjects(), queue: make(chan pendingEvent, eventBacklog)}
	b.engine.AddTask(e.run)
}

// run copies events until the context ends.
func (e *events) run(ctx context.Context) {
	client := e.host.Client.CoreV1().Events(e.translator.Cluster().HostNamespace)
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	}, e.host.Client)
	reflector := cache.NewReflectorWithOptions(source, &corev1.Event{}, eventSink{ctx, e}, cache.ReflectorOptions{Name: "host events"})
	go reflector.RunWithContext(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case pending := <-e.queue:
			if err := e.copy(ctx, pending); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Cannot copy an event of the host", "event", klog.KObj(pending.event))
			}
		}
	}
}

// copy writes one event of the host to the object inside.
func (e *events) copy(ctx context.Context, pending pendingEvent) error {
	event := pending.event
	subject, known := e.subjects[event.InvolvedObject.Kind]
	if !known {
		return nil
	}
	host, found := subject.host(event.Namespace, event.InvolvedObject.Name)
	if !found || host.GetUID() != event.InvolvedObject.UID {
		e.later(ctx, pending)
		return nil
	}
	identity, ours := e.translator.IdentityOf(host)
	if !ours || identity.UID == "" {
		return nil
	}
	names, message := append(subject.references(identity.NamespacedName), identity.Name), event.Message
	if hostPod, isPod := host.(*corev1.Pod); isPod {
		pod, inside := e.virtual.Pods.Get(identity.Namespace, identity.Name)
		if !inside {
			pod = &corev1.Pod{} // it has no container any more
		}
		if waitsForToken(event) {
			// The tokens of a pod follow its node. What keeps them away for good the syncer tells.
			return nil
		}
		own := containers.OwnOf(pod, hostPod)
		if list, name, aboutOne := containers.InFieldPath(event.InvolvedObject.FieldPath); aboutOne && !own.Has(list, name) {
			// What the host's own containers do, with their images and probes, is the host's business.
			// Where the pod waits for one, its conditions say so.
			return nil
		}
		message = own.Conceal(message)
	}
	told := virtualEvent(event, identity, e.translator.Readable(identity.Namespace, names...).Replace(message))
	told.Labels = map[string]string{tenancyv1.LabelCluster: e.translator.Cluster().ID}
	return e.write(ctx, told)
}

// get hides the type of what a store found.
func get[T metav1.Object](object T, found bool) (metav1.Object, bool) { return object, found }

// later looks at the event again, or gives up: it is about somebody else's pod,
// or one that is gone.
func (e *events) later(ctx context.Context, pending pendingEvent) {
	if pending.attempt++; pending.attempt >= eventAttempts {
		return
	}
	go func() {
		select {
		case <-e.clock.After(eventInterval):
			e.push(ctx, pending)
		case <-ctx.Done():
		}
	}()
}

func (e *events) push(ctx context.Context, pending pendingEvent) {
	select {
	case e.queue <- pending:
	case <-ctx.Done():
	}
}

// virtualEvent is the event inside.
func virtualEvent(event *corev1.Event, identity translate.Identity, message string) *corev1.Event {
	sum := sha256.Sum256([]byte(event.UID))
	out := event.DeepCopy()
	out.ObjectMeta = metav1.ObjectMeta{Namespace: identity.Namespace, Name: identity.Name + "." + hex.EncodeToString(sum[:8])}
	out.Message = message
	out.Related = nil
	out.InvolvedObject.Namespace = identity.Namespace
	out.InvolvedObject.Name = identity.Name
	out.InvolvedObject.UID = identity.UID
	out.InvolvedObject.ResourceVersion = ""
	return out
}

func (e *events) write(ctx context.Context, event *corev1.Event) error {
	client := e.virtual.Client.CoreV1().Events(event.Namespace)
	_, err := client.Create(ctx, event, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		var patch []byte
		patch, err = json.Marshal(map[string]any{"count": event.Count, "lastTimestamp": event.LastTimestamp, "message": event.Message, "series": event.Series})
		if err == nil {
			_, err = client.Patch(ctx, event.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
	}
	// A namespace that ends takes no more events.
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return fmt.Errorf("event %s/%s: %w", event.Namespace, event.Name, err)
	}
	return nil
}

// eventSink takes what a reflector sees, and keeps nothing.
type eventSink struct {
	ctx    context.Context
	events *events
}

var _ cache.ReflectorStore = eventSink{}

func (s eventSink) Add(object any) error {
	if event, ok := object.(*corev1.Event); ok {
		s.events.push(s.ctx, pendingEvent{event: event})
	}
	return nil
}

func (s eventSink) Update(object any) error { return s.Add(object) }

func (s eventSink) Delete(any) error { return nil }

func (s eventSink) Replace(objects []any, _ string) error {
	for _, object := range objects {
		if err := s.Add(object); err != nil {
			return err
		}
	}
	return nil
}

func (s eventSink) Resync() error { return nil }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	typednetworkingv1 "k8s.io/client-go/kubernetes/typed/networking/v1"
	typednodev1 "k8s.io/client-go/kubernetes/typed/node/v1"
	typedschedulingv1 "k8s.io/client-go/kubernetes/typed/scheduling/v1"
	typedstoragev1 "k8s.io/client-go/kubernetes/typed/storage/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// systemPriority begins the names of the priority classes that Kubernetes defines itself.
const systemPriority = "system-"

// class is a kind that says how the host does something, by a name that objects
// inside may name.
type class[T engine.Object] struct {
	// copy makes the class inside what the host's is, as far as tenants may see it.
	copy func(host, inside T)
	// status reports that of the host's class; nil for a kind without one.
	status func(host, inside T)
	// withheld names those that are not shown; without it all are.
	withheld func(name string) bool
	// defaults is the annotation that makes one the default.
	defaults string
}

func (b *builder) storageClasses() {
	b.shownStorage = addClass(b, storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceStorageClasses),
		func(c kubernetes.Interface) typedstoragev1.StorageClassInterface {
			return c.StorageV1().StorageClasses()
		},
		class[*storagev1.StorageClass]{defaults: "storageclass.kubernetes.io/is-default-class", copy: func(host, inside *storagev1.StorageClass) {
			// Parameters may name secrets, servers and accounts of the host.
			inside.Provisioner, inside.ReclaimPolicy, inside.VolumeBindingMode = host.Provisioner, host.ReclaimPolicy, host.VolumeBindingMode
			inside.AllowVolumeExpansion, inside.MountOptions = host.AllowVolumeExpansion, host.MountOptions
		}})
}

func (b *builder) ingressClasses() {
	addClass(b, networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceIngressClasses),
		func(c kubernetes.Interface) typednetworkingv1.IngressClassInterface {
			return c.NetworkingV1().IngressClasses()
		},
		class[*networkingv1.IngressClass]{defaults: networkingv1.AnnotationIsDefaultIngressClass, copy: func(host, inside *networkingv1.IngressClass) {
			// Parameters name an object of the host.
			inside.Spec.Controller = host.Spec.Controller
		}})
}

func (b *builder) runtimeClasses() {
	addClassTo(b, b.Virtual.RuntimeClasses,
		func(c kubernetes.Interface) typednodev1.RuntimeClassInterface { return c.NodeV1().RuntimeClasses() },
		class[*nodev1.RuntimeClass]{copy: func(host, inside *nodev1.RuntimeClass) {
			// The host adds what it wants of nodes to each pod by itself.
			inside.Handler, inside.Overhead = host.Handler, host.Overhead
		}})
}

func (b *builder) priorityClasses() {
	store := addClass(b, schedulingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePriorityClasses),
		func(c kubernetes.Interface) typedschedulingv1.PriorityClassInterface {
			return c.SchedulingV1().PriorityClasses()
		},
		class[*schedulingv1.PriorityClass]{
			withheld: func(name string) bool { return strings.HasPrefix(name, systemPriority) },
			copy: func(host, inside *schedulingv1.PriorityClass) {
				inside.Value, inside.GlobalDefault, inside.Description, inside.PreemptionPolicy = host.Value, host.GlobalDefault, host.Description, host.PreemptionPolicy
			}})
	b.hostPriority = func(name string) bool {
		_, found := store.Get("", name)
		return found && !strings.HasPrefix(name, systemPriority)
	}
}

// gatewayClasses shows those of the host, where both sides serve the kind. The condition CustomKindsSynced
// tells where they do not.
func (b *builder) gatewayClasses() {
	kind, served := b.wideKind(tenancyv1.ResourceGatewayClasses)
	if !served {
		return
	}
	at := kind.GroupVersionResource()
	inside := engine.NewDynamicStore(b.Virtual.Informers, at, kind.Kind, b.Rules.Virtual, engine.StoreOptions{})
	host := engine.NewDynamicStore(b.Host.Informers, at, kind.Kind, b.Rules.Host, engine.StoreOptions{LabelSelector: b.HostSelectors[at.Resource]})
	shown := class[*unstructured.Unstructured]{copy: func(host, inside *unstructured.Unstructured) {
		// Parameters name an object of the host.
		spec, _, _ := unstructured.NestedMap(host.Object, "spec")
		delete(spec, "parametersRef")
		_ = unstructured.SetNestedMap(inside.Object, spec, "spec")
	}}
	if kind.HasStatus {
		shown.status = func(host, inside *unstructured.Unstructured) {
			copyStatus(host, inside)
			observeInside(inside.Object["status"], host.GetGeneration(), inside.GetGeneration())
		}
	}
	showClass(b, inside, host, shown)
}

// addClass adds the controller of a kind of class, and returns the store of the host's.
func addClass[C engine.Client[T, L], T engine.Object, L runtime.Object](b *builder, resource schema.GroupVersionResource, client func(kubernetes.Interface) C, kind class[T]) *engine.Store[T] {
	clients := func(all kubernetes.Interface) func(string) C { return func(string) C { return client(all) } }
	return addClassTo(b, engine.NewStore(b.Virtual.Informers, resource, clients(b.Virtual.Client), engine.StoreOptions{}), client, kind)
}

// addClassTo is addClass with a store inside that others read, too.
func addClassTo[C engine.Client[T, L], T engine.Object, L runtime.Object](b *builder, inside *engine.Store[T], client func(kubernetes.Interface) C, kind class[T]) *engine.Store[T] {
	resource := inside.Resource()
	host := engine.NewStore(b.Host.Informers, resource, func(string) C { return client(b.Host.Client) },
		engine.StoreOptions{LabelSelector: b.HostSelectors[resource.Resource]})
	showClass(b, inside, host, kind)
	return host
}

// showClass adds the controller that shows the host's classes inside.
func showClass[T engine.Object](b *builder, inside, host *engine.Store[T], kind class[T]) *engine.Controller {
	shown := &shownClass[T]{class: kind, host: host, id: b.Translator.Cluster().ID}
	var status func(T)
	if kind.status != nil {
		status = func(object T) {
			if host, there := host.Get("", object.GetName()); there {
				kind.status(host, object)
			}
		}
	}
	controller := mirrored(b, &mirror[T]{virtual: inside, fate: byName(shown.fate), apply: shown.apply, status: status,
		onHost: func(name string) (engine.Object, bool) { return object(host.Get("", name)) }})
	b.watch(controller, host.Informer(), engine.SameKey)
	return controller
}

// shownClass mirrors the host's classes of a kind.
type shownClass[T engine.Object] struct {
	class[T]
	host *engine.Store[T]
	id   string
}

// fate shows each class of the host, and leaves alone what a tenant made under its name.
func (s *shownClass[T]) fate(name string, object T, found bool) (fate, error) {
	if found && !isShown(object, tenancyv1.LabelCluster, s.id) {
		return fate{kept: true}, nil
	}
	host, there := s.host.Get("", name)
	if !there || s.withheld != nil && s.withheld(name) {
		return fate{}, nil
	}
	if !found {
		return fate{shown: true}, nil
	}
	// Most of a class cannot be changed: it goes, which brings it back as it should be.
	wanted := object.DeepCopyObject().(T)
	s.copy(host, wanted)
	return fate{shown: equality.Semantic.DeepEqual(wanted, object)}, nil
}

// apply marks the class, and fills in one that is new.
func (s *shownClass[T]) apply(object T) {
	host, there := s.host.Get("", object.GetName())
	if !there {
		return // it is going
	}
	if object.GetUID() == "" {
		s.copy(host, object)
	}
	show(object, tenancyv1.LabelCluster, s.id)
	if s.defaults == "" {
		return
	}
	annotations := maps.Clone(object.GetAnnotations())
	delete(annotations, s.defaults)
	if value, isSet := host.GetAnnotations()[s.defaults]; isSet {
		annotations[s.defaults] = value
	}
	object.SetAnnotations(annotations)
}

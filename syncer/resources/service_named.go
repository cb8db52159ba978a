// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// reasonNamed is the reason of Events about a Service that cannot have its further name.
	reasonNamed = "HostNameTaken"
	// nameAgain is how often a name that is taken is asked for.
	nameAgain = 30 * time.Second
)

// NamedServices are the Services that the VirtualCluster gives a further name on the host: a
// second Service there, that leads where the twin leads.
type NamedServices struct {
	mu sync.Mutex
	// from are the Services inside by the name on the host; nil while the VirtualCluster has
	// not been seen.
	from    map[string]types.NamespacedName
	enqueue func(types.NamespacedName)
}

// NewNamedServices returns ones that know nothing yet.
func NewNamedServices() *NamedServices {
	return &NamedServices{enqueue: func(types.NamespacedName) {}}
}

// Observe takes over what the VirtualCluster says.
func (n *NamedServices) Observe(cluster *tenancyv1.VirtualCluster) {
	from := map[string]types.NamespacedName{}
	for _, mapping := range cluster.Spec.Syncer.ToHost.Services.Mappings {
		from[mapping.To] = types.NamespacedName{Namespace: mapping.From.Namespace, Name: mapping.From.Name}
	}
	n.mu.Lock()
	before, enqueue, first := n.from, n.enqueue, n.from == nil
	n.from = from
	n.mu.Unlock()
	if !first && maps.Equal(before, from) {
		return
	}
	enqueue(everyName)
	for _, all := range []map[string]types.NamespacedName{before, from} {
		for name := range all {
			enqueue(types.NamespacedName{Name: name})
		}
	}
}

// everyName stands for the names that nothing inside has any more.
var everyName = types.NamespacedName{}

// get tells which Service has the name on the host, and whether anything is known at all.
func (n *NamedServices) get(name string) (from types.NamespacedName, wanted, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	from, wanted = n.from[name]
	return from, wanted, n.from != nil
}

// namesOf are the keys of the names that the Service inside has on the host.
func (n *NamedServices) namesOf(service types.NamespacedName) []types.NamespacedName {
	n.mu.Lock()
	defer n.mu.Unlock()
	var keys []types.NamespacedName
	for name, from := range n.from {
		if from == service {
			keys = append(keys, types.NamespacedName{Name: name})
		}
	}
	return keys
}

// namedServices adds their controller.
func (b *builder) namedServices(named *NamedServices) {
	n := &namedServices{b, named}
	controller := b.controller("named-services", 1, n)
	b.watch(controller, b.Virtual.Services.Informer(), func(object any) []types.NamespacedName {
		return named.namesOf(engine.SameKey(object)[0])
	})
	b.watch(controller, b.Host.Services.Informer(), n.concerned)
	named.mu.Lock()
	defer named.mu.Unlock()
	named.enqueue = controller.Enqueue
	for name := range named.from {
		controller.Enqueue(types.NamespacedName{Name: name})
	}
}

type namedServices struct {
	*builder
	named *NamedServices
}

// concerned are the names that a Service on the host has, or has the source of.
func (n *namedServices) concerned(object any) []types.NamespacedName {
	host := object.(*corev1.Service)
	identity, ours := n.Translator.IdentityOf(host)
	switch {
	case ours && identity.Kind == tenancyv1.VirtualKindMapping:
		return []types.NamespacedName{{Name: host.Name}}
	case ours:
		return n.named.namesOf(identity.NamespacedName)
	}
	return nil
}

// Reconcile looks at one name on the host.
func (n *namedServices) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	if key == everyName {
		// What was named before the syncer started is looked at, too.
		for _, host := range n.Host.Services.List() {
			if identity, ours := n.Translator.IdentityOf(host); ours && identity.Kind == tenancyv1.VirtualKindMapping {
				n.named.enqueue(types.NamespacedName{Name: host.Name})
			}
		}
		return 0, nil
	}
	from, wanted, known := n.named.get(key.Name)
	if !known {
		return 0, nil
	}
	cluster := n.Translator.Cluster()
	current, found := n.Host.Services.Get(cluster.HostNamespace, key.Name)
	if found {
		identity, ours := n.Translator.IdentityOf(current)
		found = ours && identity.Kind == tenancyv1.VirtualKindMapping
	}
	virtual, there := n.Virtual.Services.Get(from.Namespace, from.Name)
	if !wanted || !there {
		return 0, n.remove(ctx, current, found)
	}
	twin, carried := n.Host.Services.Get(cluster.HostNamespace, n.Translator.HostName(from.Namespace, from.Name))
	if !carried {
		return 0, nil // its coming leads to another pass
	}
	return n.bring(ctx, key.Name, virtual, twin, current, found)
}

// remove deletes a Service that has lost its name, or what is behind it. That the latter is
// missing inside is no evidence.
func (n *namedServices) remove(ctx context.Context, current *corev1.Service, found bool) error {
	if !found {
		return nil
	}
	if err := n.Evidence.Confirm(ctx); err != nil {
		return fmt.Errorf("service %s on the host: %w", current.Name, err)
	}
	err := n.Host.Services.Writer(current.Namespace).Delete(ctx, current.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &current.UID}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// bring makes the Service of the name, or updates it. One that leads to no pods, or whose name is
// taken, is left alone, which an Event tells.
func (n *namedServices) bring(ctx context.Context, name string, virtual, twin, current *corev1.Service, found bool) (time.Duration, error) {
	if len(twin.Spec.Selector) == 0 {
		n.notices.tell(virtual, reasonNamed, "a Service without a selector cannot have another name on the host: "+name+" in spec.syncer.toHost.services of the VirtualCluster")
		return 0, nil
	}
	if found && (current.Spec.ClusterIP == corev1.ClusterIPNone) != (twin.Spec.ClusterIP == corev1.ClusterIPNone) {
		// It cannot be changed. Its going leads to another pass.
		return 0, n.remove(ctx, current, found)
	}
	fill := func(host *corev1.Service) error {
		host.Name = name
		n.Translator.Mark(host, translate.Identity{NamespacedName: engine.KeyOf(virtual), UID: virtual.UID, Kind: tenancyv1.VirtualKindMapping}, nil, nil)
		fillNamed(host, twin)
		return nil
	}
	writer := n.Host.Services.Writer(twin.Namespace)
	var err error
	if found {
		_, err = engine.Carry(ctx, writer, current, fill, func(host *corev1.Service) (*corev1.Service, error) {
			return writer.Update(ctx, host, metav1.UpdateOptions{})
		})
	} else {
		err = engine.Create(ctx, writer, &corev1.Service{}, fill)
	}
	if apierrors.IsAlreadyExists(err) {
		// It may be the one that was made a moment ago.
		if standing, err := n.Host.Client.CoreV1().Services(twin.Namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			if identity, ours := n.Translator.IdentityOf(standing); ours && identity.Kind == tenancyv1.VirtualKindMapping {
				return 0, nil
			}
		}
		n.notices.tell(virtual, reasonNamed, "the name "+name+", which spec.syncer.toHost.services of the VirtualCluster gives this Service on the host, is taken there: choose another one")
		return nameAgain, nil
	}
	if err != nil {
		return 0, engine.OnHost("service "+name, err)
	}
	n.notices.tell(virtual, reasonNamed, "")
	return 0, nil
}

// fillNamed makes a Service lead where the twin leads. It has an address of its own, and no
// port of a node.
func fillNamed(host, twin *corev1.Service) {
	if host.UID == "" && twin.Spec.ClusterIP == corev1.ClusterIPNone {
		host.Spec.ClusterIP = corev1.ClusterIPNone
	}
	spec := twin.DeepCopy().Spec
	host.Spec.Type, host.Spec.Selector = corev1.ServiceTypeClusterIP, spec.Selector
	host.Spec.SessionAffinity, host.Spec.SessionAffinityConfig = spec.SessionAffinity, spec.SessionAffinityConfig
	host.Spec.PublishNotReadyAddresses = spec.PublishNotReadyAddresses
	host.Spec.InternalTrafficPolicy, host.Spec.TrafficDistribution = spec.InternalTrafficPolicy, spec.TrafficDistribution
	host.Spec.Ports = spec.Ports
	for i := range host.Spec.Ports {
		host.Spec.Ports[i].NodePort = 0
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/engine"
)

var (
	_ engine.Decliner[*corev1.Pod]  = &pods{}
	_ engine.Beginner[*corev1.Pod]  = &pods{}
	_ engine.Concealer[*corev1.Pod] = &pods{}
	_ engine.Looker                 = &mirror[*corev1.Node]{}
)

// Declines says why a pod has no twin.
func (p *pods) Declines(virtual *corev1.Pod) string {
	if len(virtual.Spec.SchedulingGates) > 0 {
		return "it waits inside until its spec.schedulingGates are gone"
	}
	if _, waits := p.places.of(virtual); waits {
		return "it waits for a resource that only nodes inside have: see its condition PodScheduled"
	}
	return "it mirrors a static pod, which another kubelet runs"
}

// Begun takes the gate out of what is asked for once the host pod has lost it.
func (p *pods) Begun(host, asked *corev1.Pod) {
	if !waits(host) {
		asked.Spec.SchedulingGates = slices.DeleteFunc(asked.Spec.SchedulingGates, isGate)
	}
}

// Conceal takes the names of the host's own containers out of a message.
func (p *pods) Conceal(virtual, host *corev1.Pod, message string) string {
	return containers.OwnOf(virtual, host).Conceal(message)
}

// object hides the type of what a store found.
func object[T engine.Object](found T, is bool) (engine.Object, bool) { return found, is }

// onHost is the host's node, where the syncer may read it.
func (n *nodes) onHost(name string) (engine.Object, bool) { return object(n.real(name)) }

// Look says what both sides have, and what the object inside would be.
func (m *mirror[T]) Look(_ context.Context, key types.NamespacedName) (*engine.Look, error) {
	resource := m.virtual.Resource()
	virtual, found := m.virtual.Get(key.Namespace, key.Name)
	if !found {
		return nil, apierrors.NewNotFound(resource.GroupResource(), key.Name)
	}
	look := &engine.Look{Resource: resource, FromHost: true, Virtual: virtual, Readable: func(message string) string { return message }}
	fate, err := m.fate(key, virtual, true)
	if err != nil {
		look.Told = append(look.Told, engine.Told{Reason: reasonUntranslatable, Message: err.Error()})
	}
	if !fate.shown {
		look.Unwanted = "somebody created it inside, and it stays there"
		if !fate.kept && err == nil {
			look.Unwanted = "the host no longer shows it: the syncer is removing it"
		}
		return look, nil
	}
	look.HostKey.Name = key.Name
	if m.source != nil {
		look.HostKey.Name = m.source(virtual)
	}
	if m.onHost != nil {
		if host, there := m.onHost(key.Name); there {
			look.Host = host
		}
	}
	asked, next := m.virtual.New(), virtual.DeepCopyObject().(T)
	asked.SetNamespace(key.Namespace)
	asked.SetName(key.Name)
	m.apply(asked)
	m.apply(next)
	look.Asked, look.Next = asked, next
	return look, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/containers"
)

// knownContainers is how many ephemeral containers the syncer remembers to have made.
const knownContainers = 1000

// madeContainer is an ephemeral container that this syncer made.
type madeContainer struct {
	pod  types.UID
	name string
}

// asked is what was asked for in a host pod: what the pod remembers, and what this
// syncer has just made, which the cache may not tell yet.
func (p *pods) asked(virtual, host *corev1.Pod) containers.Record {
	record := containers.RecordOf(virtual, host)
	for i := range host.Spec.EphemeralContainers {
		name := host.Spec.EphemeralContainers[i].Name
		if _, made := p.made.Get(madeContainer{host.UID, name}); made {
			record = record.With(name)
		}
	}
	return record
}

// wantEphemeral has the host pod have the ephemeral containers of the pod inside. A name
// that a container of the host has is left to it.
func (p *pods) wantEphemeral(virtual, host *corev1.Pod) {
	own := p.asked(virtual, host).Own(virtual, host)
	// FromHost tells of those that are refused, which hold up nothing else.
	allowed, _ := p.allowedEphemeral(virtual, host)
	for _, container := range allowed {
		_, there := own.Find(container.Name)
		_, absent := own.Lacks(container.Name)
		switch at := ephemeralAt(host, container.Name); {
		case there:
		case !absent:
			host.Spec.EphemeralContainers = append(host.Spec.EphemeralContainers, container)
		case at >= 0 && equality.Semantic.DeepEqual(host.Spec.EphemeralContainers[at], container):
			// An earlier syncer ended before the pod could remember it, or did not hear
			// that the host took it. Nobody else makes the very same: it has the variables that
			// are those of this virtual cluster.
			p.made.Add(madeContainer{host.UID, container.Name}, nil)
		}
	}
}

// addedEphemeral are the ephemeral containers that only the wanted pod has.
func addedEphemeral(current, wanted *corev1.Pod) []corev1.EphemeralContainer {
	return slices.DeleteFunc(slices.Clone(wanted.Spec.EphemeralContainers), func(c corev1.EphemeralContainer) bool {
		return ephemeralAt(current, c.Name) >= 0
	})
}

func ephemeralAt(pod *corev1.Pod, name string) int {
	return slices.IndexFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == name })
}

// addEphemeral adds an ephemeral container to the host pod. The host takes it for the pod
// as the syncer saw it, without a container of the name: so nobody else made it.
func (p *pods) addEphemeral(ctx context.Context, host *corev1.Pod, container corev1.EphemeralContainer) (*corev1.Pod, error) {
	more := host.DeepCopy()
	more.Spec.EphemeralContainers = append(more.Spec.EphemeralContainers, container)
	updated, err := p.host.Pods.Ask("ephemeralcontainers/"+container.Name, host, more, func() (*corev1.Pod, error) {
		return p.host.Client.CoreV1().Pods(host.Namespace).UpdateEphemeralContainers(ctx, host.Name, more, metav1.UpdateOptions{})
	})
	if err == nil {
		p.made.Add(madeContainer{host.UID, container.Name}, nil)
	}
	return updated, err
}

// remember has the host pod remember what was asked for. The patch says nothing of a
// version: what a kubelet reports meanwhile must not stop it.
func (p *pods) remember(ctx context.Context, host *corev1.Pod, asked containers.Record) (*corev1.Pod, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": host.UID, "annotations": map[string]string{containers.Annotation: asked.String()}}})
	if err != nil {
		return nil, err
	}
	return p.host.Client.CoreV1().Pods(host.Namespace).Patch(ctx, host.Name, types.MergePatchType, patch, metav1.PatchOptions{})
}

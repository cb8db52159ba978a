// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// waitingVolume is a volume that no kubelet can make. It keeps a pod from starting
	// with another runtime than it asks for. Its name stands in the kubelet's Events.
	waitingVolume = "runtime-class-unknown-on-host"
	// waitingPath is where it would be mounted: a kubelet ignores one that is not.
	waitingPath = "/.runtime-class"
	// purposeNone is in the name of the ConfigMap that nobody makes.
	purposeNone = "none"

	// reasonRuntime is a kubelet's reason for a pod whose runtime its node does not have.
	reasonRuntime = "FailedCreatePodSandBox"
)

// Yield does without a runtime class that the host does not know: it asks for the class
// that is named like the handler, and then for none. A pod without its class gets a
// node, and does not start there. A class that a rule gives to all pods is never done without.
func (p *pods) Yield(wanted, current *corev1.Pod, refusal error) bool {
	class := wanted.Spec.RuntimeClassName
	if current != nil || class == nil || p.spec.rules.RuntimeClassName != "" || !isUnknownClass(refusal, *class) {
		return false
	}
	identity, ours := p.translator.IdentityOf(wanted)
	virtual, found := p.virtual.Pods.Get(identity.Namespace, identity.Name)
	if !ours || !found || virtual.Spec.RuntimeClassName == nil {
		return false
	}
	asked := *virtual.Spec.RuntimeClassName
	inside, known := p.classes.Get("", asked)
	if known && *class == asked && inside.Handler != asked {
		wanted.Spec.RuntimeClassName = &inside.Handler
		return true
	}
	wanted.Spec.RuntimeClassName = nil
	p.keepFromStarting(wanted, virtual)
	handler := ""
	if known {
		handler = fmt.Sprintf(", nor one of the name of its handler %q", inside.Handler)
	}
	p.recorder.Eventf(virtual, corev1.EventTypeWarning, reasonRuntime,
		"the host cluster has no RuntimeClass %q%s, so the pod gets a node and does not start. Delete the pod, and create it again when the administrator of the host has added the class", asked, handler)
	return true
}

// isUnknownClass tells whether the host refuses a pod because its runtime class is missing.
func isUnknownClass(refusal error, class string) bool {
	var answer apierrors.APIStatus
	return apierrors.IsForbidden(refusal) && errors.As(refusal, &answer) &&
		strings.Contains(answer.Status().Message, fmt.Sprintf("RuntimeClass %q not found", class))
}

func (p *pods) keepFromStarting(host, virtual *corev1.Pod) {
	host.Spec.Volumes = append(host.Spec.Volumes, corev1.Volume{Name: waitingVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: p.translator.DerivedName(purposeNone, virtual.Namespace, virtual.Name)},
		// Whoever makes one of the name all the same does not have the pod start.
		Items: []corev1.KeyToPath{{Key: waitingVolume, Path: waitingVolume}},
	}}})
	first := &host.Spec.Containers[0]
	first.VolumeMounts = append(first.VolumeMounts, corev1.VolumeMount{Name: waitingVolume, MountPath: waitingPath})
}

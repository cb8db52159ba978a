// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
)

// judge refuses a spec that falls short of the level of Pod Security, with the
// metadata that the host pod has.
func (p *pods) judge(host *corev1.Pod, spec *corev1.PodSpec) error {
	err := p.security.Check(&host.ObjectMeta, spec)
	switch {
	case errors.Is(err, isolation.ErrLevelUnknown):
		return engine.Again(err.Error())
	case err != nil:
		return engine.Refuse(reasonForbidden, err.Error())
	}
	return nil
}

// debugContainers returns the debug containers that the host pod is yet to get, and
// why it gets no others. Each is judged together with the pod that it comes to.
func (p *pods) debugContainers(virtual, host *corev1.Pod) ([]corev1.EphemeralContainer, error) {
	there := map[string]bool{}
	for _, container := range host.Spec.EphemeralContainers {
		there[container.Name] = true
	}
	var added []corev1.EphemeralContainer
	var refused []error
	for i := range virtual.Spec.EphemeralContainers {
		wanted := &virtual.Spec.EphemeralContainers[i]
		if there[wanted.Name] {
			continue
		}
		allowed, violations := isolation.EphemeralContainer(wanted, i, p.spec.exceptions)
		err := forbidden(violations)
		if err == nil {
			spec, _ := isolation.PodSpec(&virtual.Spec, p.spec.exceptions)
			spec.EphemeralContainers = []corev1.EphemeralContainer{*allowed}
			err = p.judge(host, spec)
		}
		if err != nil {
			refused = append(refused, err)
			continue
		}
		added = append(added, p.spec.ephemeralContainer(virtual, allowed, p.translator.DerivedName(purposeEnvironment, "", virtual.Namespace)))
	}
	return added, errors.Join(refused...)
}

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

// debugContainer is an ephemeral container of the pod inside as the host pod is to have
// it. It is judged together with the pod that it comes to; the error is why it may not.
func (p *pods) debugContainer(virtual, host *corev1.Pod, index int) (corev1.EphemeralContainer, error) {
	allowed, violations := isolation.EphemeralContainer(&virtual.Spec.EphemeralContainers[index], index, p.spec.exceptions)
	if err := forbidden(violations); err != nil {
		return corev1.EphemeralContainer{}, err
	}
	spec, _ := isolation.PodSpec(&virtual.Spec, p.spec.exceptions)
	spec.EphemeralContainers = []corev1.EphemeralContainer{*allowed}
	if err := p.judge(host, spec); err != nil {
		return corev1.EphemeralContainer{}, err
	}
	return p.spec.ephemeralContainer(virtual, allowed, p.translator.DerivedName(purposeEnvironment, "", virtual.Namespace)), nil
}

// refusedEphemeral is why the host pod does not get some of the ephemeral containers inside.
func (p *pods) refusedEphemeral(virtual, host *corev1.Pod) error {
	var refused []error
	for i := range virtual.Spec.EphemeralContainers {
		if ephemeralAt(host, virtual.Spec.EphemeralContainers[i].Name) >= 0 {
			continue
		}
		_, err := p.debugContainer(virtual, host, i)
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

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
		return engine.Refuse(reasonForbidden, "the pod is refused: it "+err.Error())
	}
	return nil
}

// allowedEphemeral returns the ephemeral containers of the pod inside that the host pod
// may have, as they are there, and why it may have no others. One that is there already
// stays. Each of the others is judged together with the pod that it comes to.
func (p *pods) allowedEphemeral(virtual, host *corev1.Pod) ([]corev1.EphemeralContainer, error) {
	if len(virtual.Spec.EphemeralContainers) == 0 {
		return nil, nil
	}
	own := p.asked(virtual, host).Own(virtual, host)
	environment := environmentNamesOf(p.translator, virtual.Namespace)
	spec, _ := isolation.PodSpec(&virtual.Spec, p.spec.exceptions)
	var containers []corev1.EphemeralContainer
	var refused []error
	for i := range virtual.Spec.EphemeralContainers {
		allowed, violations := isolation.EphemeralContainer(&virtual.Spec.EphemeralContainers[i], i, p.spec.exceptions)
		if _, there := own.Find(allowed.Name); !there {
			err := forbidden(violations)
			if err == nil {
				spec.EphemeralContainers = []corev1.EphemeralContainer{*allowed}
				err = p.judge(host, spec)
			}
			if err != nil {
				refused = append(refused, err)
				continue
			}
		}
		containers = append(containers, p.spec.ephemeralContainer(virtual, allowed, environment))
	}
	return containers, errors.Join(refused...)
}

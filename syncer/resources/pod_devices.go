// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
)

// reasonUnscheduled is a scheduler's reason for a pod that cannot run yet.
const reasonUnscheduled = "FailedScheduling"

// claimsOf returns the name on the host of each claim of devices of the pod, by its name in the
// pod. It fails while one is not there yet, or may not go to the host.
func (d *devices) claimsOf(pod *corev1.Pod) (map[string]string, error) {
	if d == nil {
		return nil, nil
	}
	names := map[string]string{}
	for i := range pod.Spec.ResourceClaims {
		claim := &pod.Spec.ResourceClaims[i]
		name, generated, err := resourceclaim.Name(pod, claim)
		switch {
		case errors.Is(err, resourceclaim.ErrClaimNotFound):
			return nil, engine.Again("its ResourceClaim " + claim.Name + " has not been made of the template yet")
		case err != nil:
			return nil, engine.Refuse(reasonUntranslatable, err.Error())
		case name == nil:
			return nil, engine.Refuse(reasonUntranslatable, "spec.resourceClaims: "+claim.Name+" was left out inside, and the host cluster cannot leave it out")
		}
		names[claim.Name] = d.translator.HostName(pod.Namespace, *name)
		if err := d.check(pod, *name, generated, fmt.Sprintf("spec.resourceClaims[%d]", i)); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// check says why the pod cannot have the claim of the name now. Field is where the pod names it.
func (d *devices) check(pod *corev1.Pod, name string, generated bool, field string) error {
	claim, inside := d.virtual.Get(pod.Namespace, name)
	host, hosted := d.host.Get(d.host.Namespace(), d.translator.HostName(pod.Namespace, name))
	if hosted {
		if identity, ours := d.translator.IdentityOf(host); !inside || !ours || identity.UID != claim.UID {
			return engine.Again("an earlier ResourceClaim " + name + " is still on the host")
		}
	}
	if !inside {
		if generated {
			return engine.Again("its ResourceClaim " + name + " is not there yet")
		}
		// The host's scheduler would wait for it without a word.
		return engine.Refuse(reasonUnscheduled, "ResourceClaim "+name+" is not there: the pod runs when it is created", engine.RefusedField{Path: field, Why: "there is no such claim"})
	}
	if generated {
		if err := resourceclaim.IsForPod(pod, claim, true); err != nil {
			return engine.Refuse(reasonUntranslatable, err.Error())
		}
	}
	if hosted {
		return nil // it was judged when it went there
	}
	if _, err := d.spec(claim); err != nil {
		why := "ResourceClaim " + name + ": " + err.Error()
		return engine.Refuse(reasonForbidden, why, engine.RefusedField{Path: field, Why: why})
	}
	return nil
}

// watch has pods follow the claims and classes that they may wait for.
func (d *devices) watch(b *builder, pods *engine.Controller) {
	waiting := func(pod *corev1.Pod) bool { return len(pod.Spec.ResourceClaims) > 0 && !b.hosted(pod) }
	b.watchEnds(pods, d.virtual.Informer(), func(claim any) []types.NamespacedName {
		return keysOf(d.pods.virtual.ByIndex(indexDevices, engine.KeyOf(claim.(*resourcev1.ResourceClaim)).String()), waiting)
	})
	b.watchEnds(pods, d.host.Informer(), func(claim any) []types.NamespacedName {
		identity, _ := d.translator.IdentityOf(claim.(*resourcev1.ResourceClaim))
		return keysOf(d.pods.virtual.ByIndex(indexDevices, identity.String()), waiting)
	})
	b.watch(pods, d.classes.Informer(), func(any) []types.NamespacedName { return keysOf(d.pods.virtual.List(), waiting) })
}

// keysOf names those of the pods that which picks.
func keysOf(pods []*corev1.Pod, which func(*corev1.Pod) bool) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, pod := range pods {
		if which(pod) {
			keys = append(keys, engine.KeyOf(pod))
		}
	}
	return keys
}

// nameDevices has the host pod name the host's claims, as claimsOf names them.
func nameDevices(host *corev1.PodSpec, names map[string]string) {
	for i := range host.ResourceClaims {
		claim := &host.ResourceClaims[i]
		claim.ResourceClaimName, claim.ResourceClaimTemplateName = ptr.To(names[claim.Name]), nil
	}
}

// devicesOf are the claims of devices that the pod refers to, as far as they have names.
func devicesOf(pod *corev1.Pod) []string {
	var names []string
	for i := range pod.Spec.ResourceClaims {
		if name, _, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i]); err == nil && name != nil {
			names = append(names, *name)
		}
	}
	return names
}

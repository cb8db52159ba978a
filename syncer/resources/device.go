// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedresourcev1 "k8s.io/client-go/kubernetes/typed/resource/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

// devices carries the claims of devices that pods refer to. The host's scheduler allocates
// devices and reserves them for pods on the host. The controller of claims inside goes by the
// pods there, so it is shown what pods inside have.
type devices struct {
	translator *translate.Translator
	pods       struct{ virtual, host *engine.Store[*corev1.Pod] }
	// virtual and host are the claims of both sides, classes the device classes that are shown.
	virtual, host *engine.Store[*resourcev1.ResourceClaim]
	classes       *engine.Store[*resourcev1.DeviceClass]
	client        kubernetes.Interface
	exceptions    isolation.Exceptions
}

// deviceClasses shows those of the host by name. Which devices a class has, and how it configures
// them, stays on the host.
func (b *builder) deviceClasses() {
	b.shownDeviceClasses = addClass(b, resourcev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceDeviceClasses),
		func(c kubernetes.Interface) typedresourcev1.DeviceClassInterface {
			return c.ResourceV1().DeviceClasses()
		},
		class[*resourcev1.DeviceClass]{copy: func(host, inside *resourcev1.DeviceClass) {
			inside.Spec = resourcev1.DeviceClassSpec{ExtendedResourceName: host.Spec.ExtendedResourceName}
		}})
}

func (b *builder) deviceClaims() {
	if b.shownDeviceClasses == nil {
		return // no claim can name a class
	}
	virtual, host := sidesOf(b, resourcev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceDeviceClaims),
		kubernetes.Interface.ResourceV1, typedresourcev1.ResourceV1Interface.ResourceClaims)
	d := &devices{translator: b.Translator, virtual: virtual, host: host, classes: b.shownDeviceClasses, client: b.Virtual.Client, exceptions: b.Exceptions}
	d.pods.virtual, d.pods.host = b.Virtual.Pods, b.Host.Pods
	d.exceptions.DeviceClass = func(name string) bool {
		_, shown := d.classes.Get("", name)
		return shown
	}
	b.devices = d
	ofPod := referredBy(references.ofDevices)
	controller := declare(b, virtual, host, declared[*resourcev1.ResourceClaim]{
		wanted: func(virtual *resourcev1.ResourceClaim) bool {
			return slices.ContainsFunc(b.Virtual.Pods.ByIndex(indexDevices, engine.KeyOf(virtual).String()), b.hosted)
		},
		unwanted: "no pod on the host refers to it",
		create: func(virtual, host *resourcev1.ResourceClaim) error {
			spec, err := d.spec(virtual)
			if err == nil {
				host.Spec = *spec
			}
			return err
		},
		status:  d.status,
		follows: []follow{{b.Virtual.Pods.Informer(), ofPod}, {d.classes.Informer(), d.refused}},
	})
	b.watchPodsGo(controller, ofPod)
	b.beforePods = append(b.beforePods, need{controller: controller, keys: ofPod, must: true})
}

// spec is what the host is asked for.
func (d *devices) spec(virtual *resourcev1.ResourceClaim) (*resourcev1.ResourceClaimSpec, error) {
	spec, violations := isolation.ResourceClaimSpec(&virtual.Spec, d.exceptions)
	return spec, forbidden(violations)
}

// refused names the claims that may have been refused for their class.
func (d *devices) refused(any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, claim := range d.virtual.List() {
		if _, hosted := d.host.Get(d.host.Namespace(), d.translator.HostName(claim.Namespace, claim.Name)); !hosted {
			keys = append(keys, engine.KeyOf(claim))
		}
	}
	return keys
}

// status brings inside what the host allocated, for as long as a pod inside has it.
func (d *devices) status(ctx context.Context, virtual, host *resourcev1.ResourceClaim) error {
	wanted := d.statusInside(virtual, host)
	if before := virtual.Status.Allocation; before != nil && wanted.Allocation != nil {
		if sameDevices(before, wanted.Allocation) {
			// Nobody may change it. An API server of another minor may know fewer fields.
			wanted.Allocation = before
		} else {
			// The host allocated again. The write brings the claim back.
			wanted = resourcev1.ResourceClaimStatus{}
		}
	}
	if virtual.DeletionTimestamp != nil {
		if virtual.Status.Allocation == nil {
			return nil // nothing may be allocated to it any more
		}
		wanted.ReservedFor = slices.DeleteFunc(wanted.ReservedFor, func(ref resourcev1.ResourceClaimConsumerReference) bool {
			return !slices.Contains(virtual.Status.ReservedFor, ref)
		})
	}
	err := d.write(ctx, virtual, wanted)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

// write writes the status inside. As a scheduler does, it protects a claim from deletion before
// it is allocated.
func (d *devices) write(ctx context.Context, virtual *resourcev1.ResourceClaim, status resourcev1.ResourceClaimStatus) error {
	client := d.client.ResourceV1().ResourceClaims(virtual.Namespace)
	protect := func(claim *resourcev1.ResourceClaim, is bool) (*resourcev1.ResourceClaim, error) {
		if slices.Contains(claim.Finalizers, resourcev1.Finalizer) == is {
			return claim, nil
		}
		changed := claim.DeepCopy()
		changed.Finalizers = slices.DeleteFunc(changed.Finalizers, func(f string) bool { return f == resourcev1.Finalizer })
		if is {
			changed.Finalizers = append(changed.Finalizers, resourcev1.Finalizer)
		}
		return client.Update(ctx, changed, metav1.UpdateOptions{})
	}
	claim, err := virtual, error(nil)
	if status.Allocation != nil && virtual.DeletionTimestamp == nil {
		if claim, err = protect(claim, true); err != nil {
			return err
		}
	}
	if !equality.Semantic.DeepEqual(claim.Status, status) {
		changed := claim.DeepCopy()
		changed.Status = status
		if claim, err = client.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	if status.Allocation == nil {
		_, err = protect(claim, false)
	}
	return err
}

// statusInside is the host's status in terms of the pods inside. What the class configures, and
// which nodes could have the devices, stays on the host.
func (d *devices) statusInside(virtual, host *resourcev1.ResourceClaim) resourcev1.ResourceClaimStatus {
	reserved := d.reservedInside(virtual, host)
	if len(reserved) == 0 || host.Status.Allocation == nil {
		return resourcev1.ResourceClaimStatus{}
	}
	status := *host.Status.DeepCopy()
	status.ReservedFor = reserved
	status.Allocation.NodeSelector = nil
	status.Allocation.Devices.Config = slices.DeleteFunc(status.Allocation.Devices.Config, func(config resourcev1.DeviceAllocationConfiguration) bool {
		return config.Source != resourcev1.AllocationConfigSourceClaim
	})
	return status
}

// reservedInside are the pods inside for which the host reserved the claim. One that has ended is
// none: the controller inside takes such a reservation away as soon as it sees it.
func (d *devices) reservedInside(virtual, host *resourcev1.ResourceClaim) []resourcev1.ResourceClaimConsumerReference {
	var inside []resourcev1.ResourceClaimConsumerReference
	for _, ref := range host.Status.ReservedFor {
		if ref.APIGroup != "" || ref.Resource != tenancyv1.ResourcePods {
			continue
		}
		twin, found := d.pods.host.Get(host.Namespace, ref.Name)
		if !found || twin.UID != ref.UID {
			continue
		}
		identity, ours := d.translator.IdentityOf(twin)
		if !ours || identity.Namespace != virtual.Namespace {
			continue
		}
		pod, found := d.pods.virtual.Get(identity.Namespace, identity.Name)
		if !found || pod.UID != identity.UID || terminated(pod) || pod.DeletionTimestamp != nil && pod.Spec.NodeName == "" {
			continue
		}
		inside = append(inside, resourcev1.ResourceClaimConsumerReference{Resource: tenancyv1.ResourcePods, Name: pod.Name, UID: pod.UID})
	}
	return inside
}

// sameDevices tells whether both allocations are of the same devices for the same requests.
func sameDevices(one, other *resourcev1.AllocationResult) bool {
	return slices.EqualFunc(one.Devices.Results, other.Devices.Results, func(a, b resourcev1.DeviceRequestAllocationResult) bool {
		return a.Request == b.Request && a.Driver == b.Driver && a.Pool == b.Pool && a.Device == b.Device
	})
}

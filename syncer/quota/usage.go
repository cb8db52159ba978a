// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	resourcehelper "k8s.io/component-helpers/resource"
	storagehelper "k8s.io/component-helpers/storage/volume"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	requestsPrefix     = corev1.DefaultResourceRequestsPrefix
	storageClassSuffix = ".storageclass.storage.k8s.io/"
)

// Usage is what one object of the kind takes of quotas. A resource that it does not
// take is missing.
func Usage(kind schema.GroupResource, object any, now time.Time) corev1.ResourceList {
	usage := corev1.ResourceList{tenancyv1.CountName(kind): one()}
	switch object := object.(type) {
	case *corev1.Pod:
		if !over(object, now) {
			addPod(usage, object)
		}
	case *corev1.PersistentVolumeClaim:
		addClaim(usage, object)
	case *corev1.Service:
		addService(usage, object)
	case *resourcev1.ResourceClaim:
		addDevices(usage, object)
	case *corev1.ConfigMap, *corev1.Secret:
		// These have a name of their own, too.
		usage[corev1.ResourceName(kind.Resource)] = one()
	}
	return usage
}

func one() resource.Quantity { return *resource.NewQuantity(1, resource.DecimalSI) }

// over tells whether nothing of the pod runs any more: it has ended, or should have.
func over(pod *corev1.Pod, now time.Time) bool {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return true
	}
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return false
	}
	// As Kubernetes has it: a pod whose node is lost is given its time once more.
	return now.After(pod.DeletionTimestamp.Add(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second))
}

func addPod(usage corev1.ResourceList, pod *corev1.Pod) {
	usage[corev1.ResourcePods] = one()
	options := resourcehelper.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true}
	for name, quantity := range resourcehelper.PodRequests(pod, options) {
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage,
			strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			usage[name] = quantity
			usage[requestsPrefix+name] = quantity
		case strings.Contains(string(name), "/"):
			// An extended resource is counted by what is requested alone.
			usage[requestsPrefix+name] = quantity
		}
	}
	for name, quantity := range resourcehelper.PodLimits(pod, options) {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			usage["limits."+name] = quantity
		}
	}
}

func addClaim(usage corev1.ResourceList, claim *corev1.PersistentVolumeClaim) {
	class := storagehelper.GetPersistentVolumeClaimClass(claim)
	add := func(name corev1.ResourceName, quantity resource.Quantity) {
		usage[name] = quantity
		if class != "" {
			usage[corev1.ResourceName(class+storageClassSuffix)+name] = quantity
		}
	}
	add(corev1.ResourcePersistentVolumeClaims, one())
	size, asked := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if !asked {
		return
	}
	// An expansion that failed keeps what it was given.
	if given, expanded := claim.Status.AllocatedResources[corev1.ResourceStorage]; expanded && given.Cmp(size) > 0 {
		size = given
	}
	size = size.DeepCopy()
	size.RoundUp(0)
	add(corev1.ResourceRequestsStorage, size)
}

func addService(usage corev1.ResourceList, service *corev1.Service) {
	usage[corev1.ResourceServices] = one()
	ports := int64(len(service.Spec.Ports))
	switch service.Spec.Type {
	case corev1.ServiceTypeNodePort:
	case corev1.ServiceTypeLoadBalancer:
		usage[corev1.ResourceServicesLoadBalancers] = one()
		if allocate := service.Spec.AllocateLoadBalancerNodePorts; allocate != nil && !*allocate {
			ports = 0
			for _, port := range service.Spec.Ports {
				if port.NodePort != 0 {
					ports++
				}
			}
		}
	default:
		return
	}
	usage[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(ports, resource.DecimalSI)
}

// addDevices adds the devices that a claim asks for, by class. Of alternatives, each class may be the one,
// with the largest of its numbers. A request for all counts as the most that a claim can get.
func addDevices(usage corev1.ResourceList, claim *resourcev1.ResourceClaim) {
	for _, request := range claim.Spec.Devices.Requests {
		most := map[string]int64{}
		note := func(class string, mode resourcev1.DeviceAllocationMode, count int64) {
			switch mode {
			case resourcev1.DeviceAllocationModeExactCount, "":
				count = max(count, 1)
			default:
				count = resourcev1.AllocationResultsMaxSize
			}
			most[class] = max(most[class], count)
		}
		if request.Exactly != nil {
			note(request.Exactly.DeviceClassName, request.Exactly.AllocationMode, request.Exactly.Count)
		}
		for _, alternative := range request.FirstAvailable {
			note(alternative.DeviceClassName, alternative.AllocationMode, alternative.Count)
		}
		for class, count := range most {
			add(usage, corev1.ResourceList{tenancyv1.DevicesName(class): *resource.NewQuantity(count, resource.DecimalSI)})
		}
	}
}

// More is what a takes beyond b.
func More(a, b corev1.ResourceList) corev1.ResourceList {
	more := corev1.ResourceList{}
	for name, quantity := range a {
		had := b[name]
		if quantity.Cmp(had) > 0 {
			quantity = quantity.DeepCopy()
			quantity.Sub(had)
			more[name] = quantity
		}
	}
	return more
}

// Covers tells whether a takes at least what b takes, of everything that b takes.
func Covers(a, b corev1.ResourceList) bool {
	for name, quantity := range b {
		if has := a[name]; has.Cmp(quantity) < 0 {
			return false
		}
	}
	return true
}

// Class tells apart what a quota can be restricted to: what is refused for one class
// may fit for another.
func Class(object any) string {
	switch object := object.(type) {
	case *corev1.Pod:
		class := "lasting"
		if object.Spec.ActiveDeadlineSeconds != nil {
			class = "terminating"
		}
		usage := corev1.ResourceList{}
		addPod(usage, object)
		for _, name := range []corev1.ResourceName{corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory} {
			if quantity := usage[name]; !quantity.IsZero() {
				return class
			}
		}
		return class + " best effort"
	case *corev1.PersistentVolumeClaim:
		if class := object.Spec.VolumeAttributesClassName; class != nil {
			return *class
		}
	}
	return ""
}

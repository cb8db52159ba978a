// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/chart"
)

// What a ResourceQuota may bound, beside the number of virtual clusters. The host
// takes whole numbers only for names that it does not know, so CPUs are counted in
// thousandths, and the name says so.
const (
	RequestsCPU     corev1.ResourceName = v1.GroupName + "/requests.millicpu"
	RequestsMemory  corev1.ResourceName = v1.GroupName + "/requests.memory"
	LimitsCPU       corev1.ResourceName = v1.GroupName + "/limits.millicpu"
	LimitsMemory    corev1.ResourceName = v1.GroupName + "/limits.memory"
	RequestsStorage corev1.ResourceName = v1.GroupName + "/requests.storage"
)

// Names are all of them.
func Names() []corev1.ResourceName {
	return []corev1.ResourceName{RequestsCPU, RequestsMemory, LimitsCPU, LimitsMemory, RequestsStorage}
}

// Bounded are those of our names to which a quota sets a limit.
func Bounded(quota *corev1.ResourceQuota) []corev1.ResourceName {
	return quotav1.Intersection(quotav1.ResourceNames(quota.Spec.Hard), Names())
}

// container is one of the two of a virtual cluster's pod. It has a request and a limit of
// CPU and of memory, since those that nobody gave have defaults.
type container struct{ requests, limits corev1.ResourceList }

// containers are both, as the kubelet will see them.
func containers(spec *v1.VirtualClusterSpec) ([]container, error) {
	var tenant []byte
	if spec.Helm.Values != nil {
		tenant = spec.Helm.Values.Raw
	}
	syncer, err := chart.TenantSyncerResources(tenant)
	if err != nil {
		return nil, err
	}
	return []container{
		asRun(chart.ControlPlaneResources(spec.ControlPlane.Resources)),
		asRun(syncer),
	}, nil
}

// asRun does what the host does to a pod: a limit without a request is a request too.
func asRun(asked corev1.ResourceRequirements) container {
	requests := corev1.ResourceList{}
	for _, list := range []corev1.ResourceList{asked.Limits, asked.Requests} {
		for name, quantity := range list {
			requests[name] = quantity
		}
	}
	return container{requests: requests, limits: asked.Limits}
}

// amount is what the container has of one of our names.
func (c container) amount(name corev1.ResourceName) resource.Quantity {
	list, key := c.requests, corev1.ResourceCPU
	if name == LimitsCPU || name == LimitsMemory {
		list = c.limits
	}
	if name == RequestsMemory || name == LimitsMemory {
		key = corev1.ResourceMemory
	}
	return list[key]
}

// demandOf is what a virtual cluster asks for.
func demandOf(spec *v1.VirtualClusterSpec) (corev1.ResourceList, error) {
	asked := corev1.ResourceList{RequestsStorage: whole(RequestsStorage, storage(spec.ControlPlane.Storage))}
	both, err := containers(spec)
	if err != nil {
		return nil, err
	}
	for _, name := range []corev1.ResourceName{RequestsCPU, RequestsMemory, LimitsCPU, LimitsMemory} {
		var sum resource.Quantity
		for _, container := range both {
			sum.Add(container.amount(name))
		}
		asked[name] = whole(name, sum)
	}
	return asked, nil
}

// whole is a quantity in the unit of the name, rounded up.
func whole(name corev1.ResourceName, quantity resource.Quantity) resource.Quantity {
	if name == RequestsCPU || name == LimitsCPU {
		return *resource.NewQuantity(quantity.MilliValue(), resource.DecimalSI)
	}
	return *resource.NewQuantity(quantity.Value(), resource.BinarySI)
}

func storage(spec v1.StorageSpec) resource.Quantity {
	switch {
	case spec.Persistent != nil && !*spec.Persistent:
		return resource.Quantity{}
	case spec.Size == nil:
		return resource.MustParse(v1.DefaultStorageSize)
	}
	return *spec.Size
}

// specOf is the spec of a virtual cluster, of the version that is stored or of the
// one that admission sees.
func specOf(object runtime.Object) (*v1.VirtualClusterSpec, error) {
	switch vc := object.(type) {
	case *v1.VirtualCluster:
		return &vc.Spec, nil
	case *tenancy.VirtualCluster:
		spec := &v1.VirtualClusterSpec{}
		if err := v1.Convert_tenancy_VirtualClusterSpec_To_v1_VirtualClusterSpec(&vc.Spec, spec, nil); err != nil {
			return nil, fmt.Errorf("virtual cluster %s/%s: %w", vc.Namespace, vc.Name, err)
		}
		return spec, nil
	}
	return nil, fmt.Errorf("quota of virtual clusters: got %T", object)
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ResourceClaimSpec returns the part of the spec of a ResourceClaim that the host gets, and what
// keeps the claim from the host.
func ResourceClaimSpec(spec *resourcev1.ResourceClaimSpec, exceptions Exceptions) (*resourcev1.ResourceClaimSpec, Violations) {
	return carry(spec, field.NewPath("spec"), exceptions)
}

// withDevices decides fields by which a pod gets devices.
func withDevices(fields ...string) rule {
	return refused("claims of devices stay inside",
		"who may change the VirtualCluster can switch spec.syncer.toHost.resourceClaims and spec.syncer.fromHost.deviceClasses on", fields...).
		unless(func(_ any, exceptions Exceptions) bool { return exceptions.Devices })
}

// shownDeviceClass decides the field that names a class. A class bounds which devices of the host
// a claim gets, and selectors of the claim only narrow that.
func shownDeviceClass() rule {
	return refused("it is no device class of the host that is shown inside",
		"who may change the VirtualCluster can have spec.syncer.fromHost.deviceClasses.selector match it", "deviceClassName").
		unless(func(name any, exceptions Exceptions) bool {
			return exceptions.DeviceClass != nil && exceptions.DeviceClass(name.(string))
		})
}

func deviceTable() []typeRules {
	const within = "among the devices of the class"
	return []typeRules{
		of[resourcev1.ResourceClaimSpec](passed("devices")),
		of[resourcev1.DeviceClaim](passed("config", "constraints", "requests")),
		of[resourcev1.DeviceRequest](passed("exactly", "firstAvailable", "name")),
		of[resourcev1.ExactDeviceRequest](
			passed("allocationMode", "capacity", "count", "derivedAttributes", "selectors", "tolerations").because(within),
			shownDeviceClass(),
			refused("it reaches devices that others use", "no setting lifts it", "adminAccess").unless(func(asked any, _ Exceptions) bool {
				admin, _ := asked.(*bool)
				return admin == nil || !*admin
			}),
		),
		of[resourcev1.DeviceSubRequest](
			passed("name"),
			passed("allocationMode", "capacity", "count", "derivedAttributes", "selectors", "tolerations").because(within),
			shownDeviceClass(),
		),
		of[resourcev1.CapacityRequirements](passed("requests")),
		of[resourcev1.DeviceSelector](passed("cel")),
		of[resourcev1.CELDeviceSelector](passed("expression").because("the host's scheduler evaluates it with an upper bound of its costs")),
		of[resourcev1.DeviceDerivedAttribute](passed("expression", "name")),
		of[resourcev1.DeviceToleration](passed("effect", "key", "operator", "tolerationSeconds", "value")),
		of[resourcev1.DeviceConstraint](passed("distinctAttribute", "matchAttribute", "requests")),
		of[resourcev1.DeviceClaimConfiguration](passed("requests")),
		of[resourcev1.DeviceConfiguration](passed("opaque")),
		of[resourcev1.OpaqueDeviceConfiguration](
			passed("parameters").because("who names the driver answers for what it reads there"),
			refused("a driver reads a configuration with its rights on the node",
				"the host's administrator can add the driver to spec.isolation.deviceConfigDrivers of HostCluster "+tenancyv1.LocalHostCluster, "driver").
				unless(func(driver any, exceptions Exceptions) bool {
					return slices.Contains(exceptions.DeviceConfigDrivers, driver.(string))
				}),
		),
	}
}

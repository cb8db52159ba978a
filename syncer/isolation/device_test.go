// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// toDevices are what a virtual cluster is open to that has claims of devices on.
var toDevices = Exceptions{Devices: true, DeviceConfigDrivers: []string{"gpu.example.org"}, DeviceClass: func(name string) bool { return name == "gpus" }}

func claimOf(change func(request *resourcev1.DeviceRequest, claim *resourcev1.DeviceClaim)) *resourcev1.ResourceClaimSpec {
	claim := resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{Name: "one", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpus", Count: 2}}}}
	change(&claim.Requests[0], &claim)
	return &resourcev1.ResourceClaimSpec{Devices: claim}
}

func configuring(driver string) *resourcev1.ResourceClaimSpec {
	return claimOf(func(_ *resourcev1.DeviceRequest, claim *resourcev1.DeviceClaim) {
		claim.Config = []resourcev1.DeviceClaimConfiguration{{DeviceConfiguration: resourcev1.DeviceConfiguration{
			Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: driver, Parameters: runtime.RawExtension{Raw: []byte(`{"mount":"/"}`)}}}}}
	})
}

// TestAttacksByClaims wants a claim to be refused that reaches devices of others, a class that is
// not shown, or a driver that the host's administrator has not opened.
func TestAttacksByClaims(t *testing.T) {
	request := func(change func(*resourcev1.DeviceRequest)) *resourcev1.ResourceClaimSpec {
		return claimOf(func(request *resourcev1.DeviceRequest, _ *resourcev1.DeviceClaim) { change(request) })
	}
	for field, spec := range map[string]*resourcev1.ResourceClaimSpec{
		"spec.devices.requests[0].exactly.adminAccess":     request(func(r *resourcev1.DeviceRequest) { r.Exactly.AdminAccess = ptr.To(true) }),
		"spec.devices.requests[0].exactly.deviceClassName": request(func(r *resourcev1.DeviceRequest) { r.Exactly.DeviceClassName = "hidden" }),
		"spec.devices.requests[0].firstAvailable[1].deviceClassName": request(func(r *resourcev1.DeviceRequest) {
			r.Exactly, r.FirstAvailable = nil, []resourcev1.DeviceSubRequest{{Name: "a", DeviceClassName: "gpus"}, {Name: "b", DeviceClassName: "hidden"}}
		}),
		"spec.devices.config[0].opaque.driver": configuring("others.example.org"),
	} {
		t.Run(field, func(t *testing.T) {
			carried, violations := ResourceClaimSpec(spec, toDevices)
			if len(violations) != 1 || violations[0].Field.String() != field {
				t.Fatalf("got %v, want a refusal of %s", violations.Err(), field)
			}
			if words := violations.Err().Error(); !strings.HasPrefix(words, field) || violations[0].Rule == "" || violations[0].Remedy == "" {
				t.Errorf("got %q, want the field, the rule and who can lift it", words)
			}
			if _, again := ResourceClaimSpec(carried, toDevices); len(again) > 0 {
				t.Errorf("what is refused travels: %v", again.Err())
			}
		})
	}
	if _, violations := ResourceClaimSpec(configuring("gpu.example.org"), Exceptions{DeviceConfigDrivers: toDevices.DeviceConfigDrivers}); len(violations) != 1 {
		t.Errorf("where no class is shown: got %v, want the class refused", violations.Err())
	}
}

// TestClaimsTravel wants everything else of a claim to reach the host as it is.
func TestClaimsTravel(t *testing.T) {
	spec := configuring("gpu.example.org")
	fill(reflect.ValueOf(&spec.Devices.Constraints).Elem())
	fill(reflect.ValueOf(&spec.Devices.Requests[0].FirstAvailable).Elem())
	fill(reflect.ValueOf(spec.Devices.Requests[0].Exactly).Elem())
	spec.Devices.Requests[0].Exactly.DeviceClassName, spec.Devices.Requests[0].FirstAvailable[0].DeviceClassName = "gpus", "gpus"
	spec.Devices.Requests[0].Exactly.AdminAccess = ptr.To(false)
	carried, violations := ResourceClaimSpec(spec, toDevices)
	if len(violations) > 0 || !reflect.DeepEqual(carried, spec) {
		t.Errorf("got %+v and %v\nwant %+v", carried, violations.Err(), spec)
	}
}

// TestPodsWithDevices opens to pods what names claims where those go to the host, and else nothing.
func TestPodsWithDevices(t *testing.T) {
	spec := &corev1.PodSpec{
		ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: ptr.To("gpus")}},
		Containers:     []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu", Request: "one"}}}}},
	}
	if carried, violations := PodSpec(spec, toDevices); len(violations) > 0 || !reflect.DeepEqual(carried, spec) {
		t.Errorf("got %+v and %v, want the pod as it is", carried, violations.Err())
	}
	_, violations := PodSpec(spec, Exceptions{})
	if words := violations.Err(); len(violations) != 2 || !strings.Contains(words.Error(), "spec.syncer.toHost.resourceClaims") {
		t.Errorf("got %v, want both fields refused, and what lifts it", words)
	}
}

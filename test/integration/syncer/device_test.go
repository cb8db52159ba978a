// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/quota"
	"garret.dev/garret/test/framework"
)

// claiming is a pod whose container has the devices of a claim.
func claiming(claim corev1.PodResourceClaim) corev1.PodSpec {
	return plain(func(spec *corev1.PodSpec) {
		spec.ResourceClaims = []corev1.PodResourceClaim{claim}
		spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: claim.Name}}
	})
}

func claimed(name string) corev1.PodSpec {
	return claiming(corev1.PodResourceClaim{Name: "device", ResourceClaimName: &name})
}

// devicesOf asks for one device of a class.
func devicesOf(class string, change ...func(*resourcev1.DeviceRequest)) resourcev1.ResourceClaimSpec {
	request := resourcev1.DeviceRequest{Name: "one", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class}}
	for _, each := range change {
		each(&request)
	}
	return resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{request}}}
}

// deviceClass makes a class on the host, which the syncer shows if it has the label of the test.
func (s *side) deviceClass(name string, shown bool) {
	s.t.Helper()
	class := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.DeviceClassSpec{
		Selectors: []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: `device.driver == "gpu.example.org"`}}},
		Config: []resourcev1.DeviceClassConfiguration{{DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{
			Driver: "gpu.example.org", Parameters: runtime.RawExtension{Raw: []byte(`{"of":"the host"}`)}}}}},
	}}
	if shown {
		class.Labels = map[string]string{"test": s.namespace}
	}
	_, err := s.host.ResourceV1().DeviceClasses().Create(s.t.Context(), class, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		_ = s.host.ResourceV1().DeviceClasses().Delete(context.Background(), name, metav1.DeleteOptions{})
	})
}

func (s *side) deviceClaim(name string, spec resourcev1.ResourceClaimSpec) *resourcev1.ResourceClaim {
	s.t.Helper()
	claim, err := s.virtual.ResourceV1().ResourceClaims(s.namespace).Create(s.t.Context(),
		&resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	return claim
}

// allocate plays the scheduler of the host: it gives the claim a device, for the pod.
func (s *side) allocate(claim string, pod *corev1.Pod, device string) {
	s.t.Helper()
	ctx, claims := s.t.Context(), s.host.ResourceV1().ResourceClaims(s.hostNamespace)
	found, err := claims.Get(ctx, claim, metav1.GetOptions{})
	s.must(err)
	found.Finalizers = append(found.Finalizers, resourcev1.Finalizer)
	found, err = claims.Update(ctx, found, metav1.UpdateOptions{})
	s.must(err)
	found.Status = resourcev1.ResourceClaimStatus{
		ReservedFor: []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: pod.Name, UID: pod.UID}},
		Allocation: &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{
			Results: []resourcev1.DeviceRequestAllocationResult{{Request: "one", Driver: "gpu.example.org", Pool: "node", Device: device}},
			Config: []resourcev1.DeviceAllocationConfiguration{{Source: resourcev1.AllocationConfigSourceClass, DeviceConfiguration: resourcev1.DeviceConfiguration{
				Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "gpu.example.org", Parameters: runtime.RawExtension{Raw: []byte(`{"of":"the host"}`)}}}}},
		}},
	}
	_, err = claims.UpdateStatus(ctx, found, metav1.UpdateOptions{})
	s.must(err)
}

// awaitAllocated waits until the claim inside has the device for the pod.
func (s *side) awaitAllocated(claim string, pod *corev1.Pod, device string) *resourcev1.ResourceClaim {
	s.t.Helper()
	var found *resourcev1.ResourceClaim
	framework.Eventually(s.t, "claim "+claim+" has device "+device+" inside", func(ctx context.Context) (bool, error) {
		var err error
		found, err = s.virtual.ResourceV1().ResourceClaims(s.namespace).Get(ctx, claim, metav1.GetOptions{})
		if err != nil || found.Status.Allocation == nil || len(found.Status.ReservedFor) != 1 {
			return false, nil
		}
		return found.Status.ReservedFor[0].UID == pod.UID && found.Status.Allocation.Devices.Results[0].Device == device, nil
	})
	return found
}

// awaitNoClaim waits until neither side has the claim.
func (s *side) awaitNoClaim(inside, onHost string) {
	s.t.Helper()
	framework.Eventually(s.t, "claim "+inside+" is gone from both sides", func(ctx context.Context) (bool, error) {
		_, virtual := s.virtual.ResourceV1().ResourceClaims(s.namespace).Get(ctx, inside, metav1.GetOptions{})
		_, host := s.host.ResourceV1().ResourceClaims(s.hostNamespace).Get(ctx, onHost, metav1.GetOptions{})
		return apierrors.IsNotFound(virtual) && apierrors.IsNotFound(host), nil
	})
}

// TestDevices has pods claim devices of the host, by a template and by name, while the controllers
// of claims run on both sides. The host's scheduler is played.
func TestDevices(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.stop()
	s.selectors = map[string]string{tenancyv1.ResourceDeviceClasses: "test=" + s.namespace}
	s.start()
	gpus, hidden := "gpus-"+s.namespace, "hidden-"+s.namespace
	s.deviceClass(gpus, true)
	s.deviceClass(hidden, false)
	framework.Eventually(t, "the class is inside", func(ctx context.Context) (bool, error) {
		class, err := s.virtual.ResourceV1().DeviceClasses().Get(ctx, gpus, metav1.GetOptions{})
		if err == nil && len(class.Spec.Selectors)+len(class.Spec.Config) > 0 {
			t.Errorf("got %+v, want nothing of what the class says of devices", class.Spec)
		}
		return err == nil, nil
	})
	if _, err := s.virtual.ResourceV1().DeviceClasses().Get(ctx, hidden, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a class that the selector does not match: got %v, want that it is not inside", err)
	}
	hostName := func(name string) string { return s.translator.HostName(s.namespace, name) }

	t.Run("of a template", func(t *testing.T) {
		s := s.within(t)
		_, err := s.virtual.ResourceV1().ResourceClaimTemplates(s.namespace).Create(t.Context(), &resourcev1.ResourceClaimTemplate{
			ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: resourcev1.ResourceClaimTemplateSpec{Spec: devicesOf(gpus)}}, metav1.CreateOptions{})
		s.must(err)
		pod := s.createPod("train", claiming(corev1.PodResourceClaim{Name: "device", ResourceClaimTemplateName: ptr.To("gpu")}))
		host := s.hostPod("train")
		claim := *s.virtualPod("train").Status.ResourceClaimStatuses[0].ResourceClaimName
		if got := host.Spec.ResourceClaims[0]; ptr.Deref(got.ResourceClaimName, "") != hostName(claim) || got.ResourceClaimTemplateName != nil {
			t.Errorf("the host pod has %+v, want the claim %s by its name there", got, hostName(claim))
		}
		s.allocate(hostName(claim), host, "one")
		s.schedule(host, "node-"+s.namespace)
		inside := s.awaitAllocated(claim, pod, "one")
		if len(inside.Status.Allocation.Devices.Config) > 0 || len(inside.Finalizers) == 0 {
			t.Errorf("got %+v with %v, want nothing of the class's configuration, and protection", inside.Status.Allocation, inside.Finalizers)
		}
		// It ends: both controllers give the claim back, and it goes first inside and then on the host.
		_, err = s.host.CoreV1().Pods(s.hostNamespace).Patch(t.Context(), host.Name, types.MergePatchType, []byte(`{"status":{"phase":"Succeeded"}}`), metav1.PatchOptions{}, "status")
		s.must(err)
		s.awaitNoClaim(claim, hostName(claim))
	})

	t.Run("by name", func(t *testing.T) {
		s := s.within(t)
		pod := s.createPod("serve", claimed("shared"))
		if message := s.awaitEvent(pod.UID, "FailedScheduling"); !strings.Contains(message, "ResourceClaim shared is not there") {
			t.Errorf("a claim that is not there: got %q, want it named", message)
		}
		s.notOnHost("serve")
		s.deviceClaim("shared", devicesOf(gpus))
		host := s.hostPod("serve")
		s.allocate(hostName("shared"), host, "two")
		s.schedule(host, "node-"+s.namespace)
		s.awaitAllocated("shared", pod, "two")
		// A claim that a pod has waits for the end of that.
		s.must(s.virtual.ResourceV1().ResourceClaims(s.namespace).Delete(t.Context(), "shared", metav1.DeleteOptions{}))
		if found := s.awaitAllocated("shared", pod, "two"); found.DeletionTimestamp == nil {
			t.Error("the claim is not being deleted")
		}
		if _, err := s.host.ResourceV1().ResourceClaims(s.hostNamespace).Get(t.Context(), hostName("shared"), metav1.GetOptions{}); err != nil {
			t.Errorf("the claim on the host: got %v, want it kept for the pod", err)
		}
		s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(t.Context(), "serve", metav1.DeleteOptions{}))
		framework.Eventually(t, "the host pod is to end", func(ctx context.Context) (bool, error) {
			found, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, host.Name, metav1.GetOptions{})
			return err == nil && found.DeletionTimestamp != nil, nil
		})
		s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(t.Context(), host.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
		s.awaitNoClaim("shared", hostName("shared"))
	})

	t.Run("attacks", func(t *testing.T) {
		s := s.within(t)
		// Inside, a tenant may give himself leave.
		_, err := s.virtual.CoreV1().Namespaces().Patch(t.Context(), s.namespace, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"`+resourcev1.DRAAdminNamespaceLabelKey+`":"true"}}}`), metav1.PatchOptions{})
		s.must(err)
		s.deviceClaim("spy", devicesOf(gpus, func(r *resourcev1.DeviceRequest) { r.Exactly.AdminAccess = ptr.To(true) }))
		s.forbidden("spy", claimed("spy"), "ResourceClaim spy: spec.devices.requests[0].exactly.adminAccess is refused")
		s.deviceClaim("other-class", devicesOf(hidden))
		s.forbidden("other-class", claimed("other-class"), `deviceClassName "`+hidden+`" is refused`, "spec.syncer.fromHost.deviceClasses.selector")
		config := devicesOf(gpus)
		config.Devices.Config = []resourcev1.DeviceClaimConfiguration{{DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{
			Driver: "gpu.example.org", Parameters: runtime.RawExtension{Raw: []byte(`{"mount":"/"}`)}}}}}
		s.deviceClaim("configured", config)
		s.forbidden("configured", claimed("configured"), `config[0].opaque.driver "gpu.example.org" is refused`, "spec.isolation.deviceConfigDrivers of HostCluster local")
		// A claim of somebody else's in the host namespace is not the one of that name inside.
		_, err = s.host.ResourceV1().ResourceClaims(s.hostNamespace).Create(t.Context(), &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "anothers"}, Spec: devicesOf(gpus)}, metav1.CreateOptions{})
		s.must(err)
		thief := s.createPod("thief", claimed("anothers"))
		s.awaitEvent(thief.UID, "FailedScheduling")
		s.notOnHost("thief")
		s.deviceClaim("anothers", devicesOf(gpus))
		if got := *s.hostPod("thief").Spec.ResourceClaims[0].ResourceClaimName; got != hostName("anothers") {
			t.Errorf("the host pod has claim %s, want %s, the tenant's own", got, hostName("anothers"))
		}
		// The account of the syncer gives itself no devices.
		_, err = s.account.ResourceV1().ResourceClaims(s.hostNamespace).UpdateStatus(t.Context(), &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "anothers"}}, metav1.UpdateOptions{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("the account of the syncer writes the status of a claim: got %v, want it forbidden", err)
		}
		// What the selector begins to match is open.
		_, err = s.host.ResourceV1().DeviceClasses().Patch(t.Context(), hidden, types.MergePatchType, []byte(`{"metadata":{"labels":{"test":"`+s.namespace+`"}}}`), metav1.PatchOptions{})
		s.must(err)
		s.hostPod("other-class")
	})

	t.Run("over the quota", func(t *testing.T) {
		s := s.within(t)
		bound := func(devices string) {
			s.ledger.Set(quota.Bounds{Hard: corev1.ResourceList{tenancyv1.DevicesName(gpus): resource.MustParse(devices)}})
		}
		bound("2") // the claim anothers has one
		claim := s.deviceClaim("two", devicesOf(gpus, func(r *resourcev1.DeviceRequest) { r.Exactly.Count = 2 }))
		s.createPod("two", claimed("two"))
		s.exceeds(claim.UID, "requested "+string(tenancyv1.DevicesName(gpus))+"=2, used "+string(tenancyv1.DevicesName(gpus))+"=1, limited")
		if _, err := s.host.ResourceV1().ResourceClaims(s.hostNamespace).Get(t.Context(), hostName("two"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the claim on the host: got %v, want none", err)
		}
		bound("3")
		s.hostPod("two")
	})

	t.Run("switched off", func(t *testing.T) {
		s.stop()
		s.selectors = nil
		s.start()
		inner := s.within(t)
		inner.forbidden("late", claimed("shared"), "spec.resourceClaims is refused: claims of devices stay inside", "spec.syncer.toHost.resourceClaims")
		if events := inner.awaitEvent(inner.virtualPod("late").UID, "Forbidden"); !strings.Contains(events, "spec.containers[0].resources.claims") {
			t.Errorf("got %q, want both fields", events)
		}
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/test/framework"
)

const (
	// classesOfDevices are on the host, and only one of them is for tenants.
	classesOfDevices = `apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: e2e-gpus, labels: {e2e: shown}}
spec: {selectors: [{cel: {expression: device.driver == "gpu.e2e.garret.dev"}}]}
---
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: e2e-others}
`
	templateOfDevices = `apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: %s}
spec: {spec: {devices: {requests: [{name: one, exactly: {deviceClassName: %s}}]}}}
---
`
	podWithDevice = `apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 1
  resourceClaims: [{name: device, %s}]
  containers: [{name: app, image: "docker.io/library/busybox:1.36", command: [sleep, "3600"], resources: {claims: [{name: device}]}}]
---
`
)

func deleteNow() metav1.DeleteOptions { return metav1.DeleteOptions{} }

func ofDriver() metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: "spec.driver=" + deviceDriver}
}

// devices has pods inside share the two devices of a node of the host, by a driver that runs
// there. A third pod waits for one of them. Nobody gets a device of another class, or the
// device of somebody else by the name of the claim on the host.
func devices(t *testing.T, o tenantOf) {
	runDriver(t, "first", "second")
	inside, host := o.inside, shared.Admin()
	host.Apply(t, classesOfDevices)
	t.Cleanup(func() { host.Do(t, "delete", "deviceclass", "e2e-gpus", "e2e-others") })
	const template = "resourceClaimTemplateName: "
	pods := []string{"device-a", "device-b", "device-c", "device-other", "device-thief"}
	t.Cleanup(func() {
		inside.Do(t, append([]string{"delete", "pod", "--ignore-not-found", "--now"}, pods...)...)
	})
	inside.Apply(t, fmt.Sprintf(templateOfDevices, "gpu", "e2e-gpus")+fmt.Sprintf(templateOfDevices, "other", "e2e-others")+
		fmt.Sprintf(podWithDevice, "device-a", template+"gpu")+fmt.Sprintf(podWithDevice, "device-b", template+"gpu")+fmt.Sprintf(podWithDevice, "device-other", template+"other"))
	inside.Do(t, "wait", "--for=condition=Ready", "pod/device-a", "pod/device-b", "--timeout=60s")
	has := map[string]bool{}
	for _, pod := range pods[:2] {
		device := strings.TrimSpace(inside.Do(t, "exec", pod, "--", "sh", "-c", "echo $"+deviceVariable))
		has[device] = true
		claim := inside.Do(t, "get", "pod", pod, "-o", "jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}")
		framework.SucceedsWithin(t, 20*time.Second, "the claim inside says what "+pod+" has", func(context.Context) error {
			says := inside.Do(t, "get", "resourceclaim", claim, "-o", "jsonpath={.status.allocation.devices.results[*].device} {.status.reservedFor[*].name}")
			if says != device+" "+pod {
				return fmt.Errorf("got %q, want %q", says, device+" "+pod)
			}
			return nil
		})
	}
	if !has["first"] || !has["second"] {
		t.Errorf("the pods have the devices %v, want one each", has)
	}

	stolen := strings.Fields(host.Do(t, "get", "resourceclaims", "-n", o.ns, "-o", "jsonpath={.items[*].metadata.name}"))[0]
	inside.Apply(t, fmt.Sprintf(podWithDevice, "device-c", template+"gpu")+fmt.Sprintf(podWithDevice, "device-thief", "resourceClaimName: "+stolen))
	says := func(what, words string, arguments ...string) {
		t.Helper()
		framework.SucceedsWithin(t, 30*time.Second, what, func(context.Context) error {
			if got := inside.Do(t, arguments...); !strings.Contains(got, words) {
				return errors.New(got)
			}
			return nil
		})
	}
	says("a condition says why the third pod waits", "cannot allocate all claims",
		"get", "pod", "device-c", "-o", `jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}`)
	says("an Event says that there is no such claim", "ResourceClaim "+stolen+" is not there",
		"get", "events", "--field-selector=involvedObject.name=device-thief", "-o", "jsonpath={.items[*].message}")
	says("an Event says why another class is none", `deviceClassName "e2e-others" is refused`,
		"get", "events", "--field-selector=involvedObject.name=device-other", "-o", "jsonpath={.items[*].message}")

	// What one gives back the next one gets.
	inside.Do(t, "delete", "pod", "device-a", "--now")
	inside.Do(t, "wait", "--for=condition=Ready", "pod/device-c", "--timeout=60s")
}

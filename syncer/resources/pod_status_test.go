// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"garret.dev/garret/syncer/containers"
)

// injected is a pod inside, and its host pod with all that a host may add: a container
// in each list, volumes, mounts in the tenant's container, and resources. The
// tenant has added debug containers with the names of those.
func injected() (virtual, host *corev1.Pod) {
	quantity := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	debug := func(name string) corev1.EphemeralContainer {
		return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "tools:1"}}
	}
	virtual = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "setup"}, {Name: "taken-out"}},
			Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: quantity("1"), Claims: []corev1.ResourceClaim{{Name: "gpu"}}},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}},
			EphemeralContainers: []corev1.EphemeralContainer{debug("debug"), debug("mesh-proxy"), debug("mesh-init"), debug("admin"), debug("later")},
			Volumes:             []corev1.Volume{{Name: "data"}},
		},
	}
	host = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{containers.Annotation: `{"containers":["app"],"initContainers":["setup","taken-out"],"ephemeralContainers":["debug"]}`}},
		Spec: corev1.PodSpec{
			InitContainers:      []corev1.Container{{Name: "mesh-init"}, {Name: "setup"}},
			Containers:          []corev1.Container{{Name: "mesh-proxy"}, {Name: "app"}},
			EphemeralContainers: []corev1.EphemeralContainer{debug("admin"), debug("debug")},
			Volumes:             []corev1.Volume{{Name: "data"}, {Name: "mesh-certificates"}},
		},
	}
	running := func(names ...string) []corev1.ContainerStatus {
		var statuses []corev1.ContainerStatus
		for _, name := range names {
			statuses = append(statuses, corev1.ContainerStatus{Name: name, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
		}
		return statuses
	}
	host.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, Reason: "Evicted",
		Message:               "The node was low on resource: memory. Container mesh-proxy was using 9Mi, request is 0. Container app was using 1Mi, request is 0.",
		InitContainerStatuses: running("mesh-init", "setup"), ContainerStatuses: running("mesh-proxy", "app"), EphemeralContainerStatuses: running("admin", "debug"),
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionFalse, Message: "containers with incomplete status: [mesh-init setup]"},
			{Type: corev1.ContainersReady, Status: corev1.ConditionFalse, Message: "containers with unready status: [mesh-proxy]"},
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "containers with unready status: [mesh-proxy]"},
		},
		Resources: &corev1.ResourceRequirements{Requests: quantity("7")}, AllocatedResources: quantity("7"),
		NodeAllocatableResourceClaimStatuses: []corev1.NodeAllocatableResourceClaimStatus{{ResourceClaimName: "mesh-claim"}},
		VolumeHealth:                         []corev1.PodVolumeHealth{{Name: "data"}, {Name: "mesh-certificates"}},
	}
	host.Status.ContainerStatuses[1].VolumeMounts = []corev1.VolumeMountStatus{{Name: "data", MountPath: "/data"}, {Name: "mesh-certificates", MountPath: "/mesh"}, {Name: "data", MountPath: "/mesh-data"}}
	host.Status.ContainerStatuses[1].AllocatedResourcesStatus = []corev1.ResourceStatus{{Name: corev1.ResourceCPU}, {Name: "claim:mesh-claim"}, {Name: "claim:gpu/one"}}
	host.Status.ContainerStatuses[1].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Message: "waits for mesh-proxy"}}
	return virtual, host
}

// TestInjectedContainers wants the status inside to be that of the pod inside.
func TestInjectedContainers(t *testing.T) {
	virtual, host := injected()
	status := virtualStatus(virtual, host, containers.OwnOf(virtual, host), testTranslator().Readable("shop", "web"), true)
	if virtual.Status = *status; status.Phase != corev1.PodRunning {
		t.Errorf("phase: got %s, want the host's", status.Phase)
	}
	state := func(statuses []corev1.ContainerStatus) string {
		var all []string
		for _, c := range statuses {
			switch {
			case c.State.Running != nil:
				all = append(all, c.Name+" runs")
			case c.State.Waiting != nil:
				all = append(all, strings.TrimSpace(c.Name+" waits "+c.State.Waiting.Reason))
			}
		}
		return strings.Join(all, ", ")
	}
	for list, test := range map[string]struct {
		statuses []corev1.ContainerStatus
		want     string
	}{
		"init":      {status.InitContainerStatuses, "setup runs, taken-out waits RemovedByHost"},
		"main":      {status.ContainerStatuses, "app waits"},
		"ephemeral": {status.EphemeralContainerStatuses, "debug runs, mesh-proxy waits NameOccupied, mesh-init waits NameOccupied, admin waits NameOccupied"},
	} {
		if got := state(test.statuses); got != test.want {
			t.Errorf("%s containers: got %q, want %q", list, got, test.want)
		}
	}
	if occupied := statusOf(status.EphemeralContainerStatuses, "mesh-proxy"); occupied == nil || occupied.Ready || occupied.Image != "tools:1" ||
		!strings.Contains(occupied.State.Waiting.Message, "choose another name") {
		t.Errorf("a debug container with an occupied name: got %v", occupied)
	}
	want := map[corev1.PodConditionType]string{
		corev1.PodInitialized:  "containers with incomplete status: [(host-container) setup]",
		corev1.ContainersReady: "containers with unready status: [(host-container)]",
		corev1.PodReady:        "containers with unready status: [(host-container)]",
	}
	for _, condition := range status.Conditions {
		if condition.Status != corev1.ConditionFalse || condition.Message != want[condition.Type] {
			t.Errorf("condition %s: got %s %q, want the host's False, and %q", condition.Type, condition.Status, condition.Message, want[condition.Type])
		}
	}
	// The names that the tenant knows aside, nothing tells what the host has there.
	plain, _ := json.Marshal(corev1.PodStatus{Message: status.Message, Conditions: status.Conditions, ContainerStatuses: status.ContainerStatuses,
		VolumeHealth: status.VolumeHealth, NodeAllocatableResourceClaimStatuses: status.NodeAllocatableResourceClaimStatuses})
	if strings.Contains(string(plain), "mesh") {
		t.Errorf("the status tells of what the host injected: %s", plain)
	}
	if status.Resources != nil || status.AllocatedResources != nil {
		t.Errorf("resources of the pod: got %v and %v, want none of what the host's containers make", status.Resources, status.AllocatedResources)
	}
	app := status.ContainerStatuses[0]
	if len(app.VolumeMounts) != 1 || len(app.AllocatedResourcesStatus) != 2 || len(status.VolumeHealth) != 1 {
		t.Errorf("mounts %v, resources %v, volumes %v: want the tenant's alone", app.VolumeMounts, app.AllocatedResourcesStatus, status.VolumeHealth)
	}
	if again := virtualStatus(virtual, host, containers.OwnOf(virtual, host), testTranslator().Readable("shop", "web"), true); !reflect.DeepEqual(again, status) {
		t.Errorf("a second report differs: got %v, want %v", again, status)
	}
}

// TestEndedContainerStaysEnded has the API inside not be asked for what it refuses: a
// container that ended, and waits later.
func TestEndedContainerStaysEnded(t *testing.T) {
	virtual, host := injected()
	virtual.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "admin", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}}}}
	status := virtualStatus(virtual, host, containers.OwnOf(virtual, host), testTranslator().Readable("shop", "web"), true)
	if ended := statusOf(status.EphemeralContainerStatuses, "admin"); ended == nil || ended.State.Terminated == nil || ended.State.Terminated.ExitCode != 3 {
		t.Errorf("got %v, want the end of before", ended)
	}
}

// TestAbsentContainersAreTold wants an Event when a container begins to be absent, and no other.
func TestAbsentContainersAreTold(t *testing.T) {
	virtual, host := injected()
	recorder := record.NewFakeRecorder(10)
	p := &pods{recorder: recorder}
	told := func() []string {
		p.tellAbsent(virtual, containers.OwnOf(virtual, host).Absent())
		var events []string
		for len(recorder.Events) > 0 {
			events = append(events, <-recorder.Events)
		}
		return events
	}
	got := told()
	want := "Warning NameOccupied spec.ephemeralContainers{mesh-proxy}: the host cluster has added a container of that name to the pod there: choose another name"
	if len(got) != 4 || !slices.Contains(got, want) {
		t.Errorf("got %q, want four events, and in it %q", got, want)
	}
	virtual.Status = *virtualStatus(virtual, host, containers.OwnOf(virtual, host), testTranslator().Readable("shop", "web"), true)
	if again := told(); len(again) > 0 {
		t.Errorf("got %q again", again)
	}
}

// TestEveryFieldOfTheStatusIsDecided fails for a field that a later Kubernetes adds, until
// somebody has decided whether it may tell what the host put into the pod.
func TestEveryFieldOfTheStatusIsDecided(t *testing.T) {
	decided := map[reflect.Type]string{
		reflect.TypeFor[corev1.PodStatus](): `
			own: Conditions Message InitContainerStatuses ContainerStatuses EphemeralContainerStatuses
			own: AllocatedResources Resources VolumeHealth ObservedGeneration QOSClass
			inside: ResourceClaimStatuses none: ExtendedResourceClaimStatus NodeAllocatableResourceClaimStatuses
			host: Phase Reason NominatedNodeName HostIP HostIPs PodIP PodIPs StartTime Resize`,
		reflect.TypeFor[corev1.ContainerStatus](): `
			own: VolumeMounts AllocatedResourcesStatus State
			host: Name LastTerminationState Ready RestartCount Image ImageID ContainerID Started AllocatedResources Resources User StopSignal`,
	}
	for kind, fields := range decided {
		for i := range kind.NumField() {
			if name := kind.Field(i).Name; !slices.Contains(strings.Fields(fields), name) {
				t.Errorf("%s.%s is not decided: may it tell of what the host injected?", kind.Name(), name)
			}
		}
	}
}

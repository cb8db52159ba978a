// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/syncer/containers"
)

// TestFieldsOfOtherMinors reports host pods whose API server or kubelet is of another minor than the one
// inside. The rows are those of the table in docs/versions.md.
func TestFieldsOfOtherMinors(t *testing.T) {
	text, err := os.ReadFile("../../docs/versions.md")
	if err != nil {
		t.Fatal(err)
	}
	cpu := func(quantity string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(quantity)}
	}
	ready := func(generation int64) corev1.PodCondition {
		return corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, ObservedGeneration: generation}
	}
	for _, test := range []struct {
		field, name string
		change      func(virtual, host *corev1.Pod)
		// behind says that not all changes have been carried.
		behind bool
		is     func(corev1.PodStatus) bool
	}{
		{"`status.observedGeneration`", "the host's kubelet has seen all", func(_, host *corev1.Pod) { host.Status.ObservedGeneration = 9 }, false,
			func(s corev1.PodStatus) bool { return s.ObservedGeneration == 4 }},
		{"`status.observedGeneration`", "it has not seen the last change", func(_, host *corev1.Pod) { host.Status.ObservedGeneration = 8 }, false,
			func(s corev1.PodStatus) bool { return s.ObservedGeneration == 3 }},
		{"`status.observedGeneration`", "a change is on its way", func(_, host *corev1.Pod) { host.Status.ObservedGeneration = 9 }, true,
			func(s corev1.PodStatus) bool { return s.ObservedGeneration == 3 }},
		{"`status.observedGeneration`", "the host does not report it", func(*corev1.Pod, *corev1.Pod) {}, false,
			func(s corev1.PodStatus) bool { return s.ObservedGeneration == 0 }},
		{"`status.conditions[].observedGeneration`", "up to date", func(_, host *corev1.Pod) { host.Status.Conditions = []corev1.PodCondition{ready(9)} }, false,
			func(s corev1.PodStatus) bool { return s.Conditions[0].ObservedGeneration == 4 }},
		{"`status.conditions[].observedGeneration`", "of before the last change", func(virtual, host *corev1.Pod) {
			virtual.Status.Conditions = []corev1.PodCondition{ready(2)}
			host.Status.Conditions = []corev1.PodCondition{ready(5)}
		}, false, func(s corev1.PodStatus) bool { return s.Conditions[0].ObservedGeneration == 2 }},
		{"`status.conditions[].observedGeneration`", "the host does not report it", func(_, host *corev1.Pod) { host.Status.Conditions = []corev1.PodCondition{ready(0)} }, false,
			func(s corev1.PodStatus) bool { return s.Conditions[0].ObservedGeneration == 0 }},
		{"`status.qosClass`", "the host dropped what makes it", func(_, host *corev1.Pod) { host.Status.QOSClass = corev1.PodQOSBestEffort }, false,
			func(s corev1.PodStatus) bool { return s.QOSClass == corev1.PodQOSBurstable }},
		{"`status.conditions[]`", "of a kind that no side of ours knows", func(_, host *corev1.Pod) {
			host.Status.Conditions = []corev1.PodCondition{{Type: "OfANewMinor", Status: corev1.ConditionTrue}}
		}, false, func(s corev1.PodStatus) bool {
			return len(s.Conditions) == 1 && s.Conditions[0].Type == "OfANewMinor"
		}},
		{"`status.resources`, `status.allocatedResources`", "the pod asks for resources as a whole", func(virtual, host *corev1.Pod) {
			virtual.Spec.Resources = &corev1.ResourceRequirements{Requests: cpu("1")}
			host.Status.Resources, host.Status.AllocatedResources = &corev1.ResourceRequirements{Requests: cpu("1")}, cpu("1")
		}, false, func(s corev1.PodStatus) bool { return s.Resources != nil && len(s.AllocatedResources) == 1 }},
		{"`status.resources`, `status.allocatedResources`", "the host does not report it", func(virtual, _ *corev1.Pod) {
			virtual.Spec.Resources = &corev1.ResourceRequirements{Requests: cpu("1")}
		}, false, func(s corev1.PodStatus) bool { return s.Resources == nil && s.AllocatedResources == nil }},
		{"`status.containerStatuses[].resources`, `allocatedResources`", "the host does not report it", func(_, host *corev1.Pod) {
			host.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Ready: true}}
		}, false, func(s corev1.PodStatus) bool {
			return s.ContainerStatuses[0].Resources == nil && s.ContainerStatuses[0].Ready
		}},
	} {
		t.Run(test.field+": "+test.name, func(t *testing.T) {
			if !strings.Contains(string(text), "| "+test.field+" |") {
				t.Errorf("docs/versions.md has no row of %s", test.field)
			}
			spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}
			virtual := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: 4}, Spec: *spec.DeepCopy(),
				Status: corev1.PodStatus{ObservedGeneration: 3, QOSClass: corev1.PodQOSBurstable}}
			host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 9, Annotations: map[string]string{containers.Annotation: `{"containers":["app"]}`}}, Spec: spec}
			test.change(virtual, host)
			status := virtualStatus(virtual, host, containers.OwnOf(virtual, host), testTranslator().Readable("shop", "web"), !test.behind)
			if !test.is(*status) {
				t.Errorf("got %+v", status)
			}
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestRejection has what the scheduler says of the one node that a pod asks for.
func TestRejection(t *testing.T) {
	const other = ", 1 node(s) didn't satisfy plugin(s) [NodeAffinity]. no new claims to deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Insufficient nothing."
	for said, want := range map[string]rejection{
		"0/2 nodes are available: 1 Insufficient cpu" + other:                       {"OutOfcpu", "Node didn't have enough resource: cpu"},
		"0/2 nodes are available: 1 Insufficient example.org/gpu. preemption: none": {"OutOfexample.org/gpu", "Node didn't have enough resource: example.org/gpu"},
		"0/2 nodes are available: 1 Insufficient ephemeral-storage.":                {"OutOfephemeral-storage", "Node didn't have enough resource: ephemeral-storage"},
		"0/2 nodes are available: 1 Too many pods" + other:                          {"OutOfpods", "Node didn't have enough resource: pods"},
		"0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports" + other: {
			"NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
		"0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector" + other: {
			"NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		"0/2 nodes are available: 1 node(s) had untolerated taint(s)" + other: {
			"TaintToleration", "Predicate TaintToleration failed: node(s) had untolerated taint"},
		"0/2 nodes are available: 1 node(s) had untolerated taint {dedicated: db}" + other: {
			"TaintToleration", "Predicate TaintToleration failed: node(s) had untolerated taint"},
		"0/2 nodes are available: 1 node(s) were unschedulable" + other:               {},
		"0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity].": {},
		`persistentvolumeclaim "data" not found`:                                      {},
	} {
		host := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: said}}}}
		if got, rejected := rejectionOf(host); got != want || rejected != (want.reason != "") {
			t.Errorf("%s: got %q, want %q", said, got, want)
		}
		host.Status.Conditions[0].Reason = corev1.PodReasonSchedulerError
		if got, rejected := rejectionOf(host); rejected {
			t.Errorf("a scheduler's error is taken for the rejection %q", got)
		}
	}
}

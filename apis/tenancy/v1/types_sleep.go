// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SleepStatus says whether a virtual cluster sleeps, since when, and why.
type SleepStatus struct {
	// number counts how often the virtual cluster was put to sleep.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	Number int64 `json:"number,omitempty"`
	// since is when it was put to sleep. It is not set while the virtual cluster is awake.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Since *metav1.Time `json:"since,omitempty"`
	// reason is why it was put to sleep: Paused.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// Asleep says whether the virtual cluster was put to sleep, and not woken since.
func (s *VirtualClusterStatus) Asleep() bool { return s.Sleep != nil && s.Sleep.Since != nil }

// SleepReasonPaused is the reason of a sleep that spec.paused asks for.
const SleepReasonPaused = "Paused"

// Reasons of the conditions Ready and Asleep of a virtual cluster that sleeps.
const (
	// ReasonFallingAsleep says that pods, or the control plane, are still being stopped.
	ReasonFallingAsleep = "FallingAsleep"
	// ReasonAsleep says that nothing of the virtual cluster runs.
	ReasonAsleep = "Asleep"
	// ReasonAwake says that the virtual cluster does not sleep.
	ReasonAwake = "Awake"
)

// SleepRecordName is the name of the ConfigMap that remembers, on the host, which pods the
// virtual cluster of this name had there when it was put to sleep. Each key is the UID of
// a pod inside, its value the UID of the pod on the host.
func SleepRecordName(virtualCluster string) string { return ReleaseName(virtualCluster) + "-asleep" }

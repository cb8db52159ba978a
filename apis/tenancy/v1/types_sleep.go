// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SleepSpec says when Garret puts a virtual cluster to sleep, wakes it and deletes it without
// being asked. Neither requests nor schedules wake a virtual cluster while spec.paused is true.
type SleepSpec struct {
	// afterInactivity puts the virtual cluster to sleep when nobody has used it for this long,
	// such as 30m or 8h. At least 1m; it never falls asleep by inactivity when this is not set.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	AfterInactivity *metav1.Duration `json:"afterInactivity,omitempty"`
	// schedule puts the virtual cluster to sleep at these times, as a cron expression of five
	// fields, such as "0 20 * * 1-5".
	// +optional
	// +k8s:optional
	// +k8s:maxLength=128
	Schedule string `json:"schedule,omitempty"`
	// wakeSchedule wakes the virtual cluster at these times, as a cron expression of five fields.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=128
	WakeSchedule string `json:"wakeSchedule,omitempty"`
	// timeZone is the time zone of both schedules, by its IANA name, such as Europe/Berlin.
	// Defaults to UTC.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=64
	TimeZone string `json:"timeZone,omitempty"`
	// deleteAfterInactivity deletes the virtual cluster when nobody has used it for this long,
	// such as 720h. At least 1h; Garret never deletes it for inactivity when this is not set.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	DeleteAfterInactivity *metav1.Duration `json:"deleteAfterInactivity,omitempty"`
	// wakeOnTraffic has connections to the Services of a sleeping virtual cluster wake it, while
	// spec.paused is false. This is about TCP ports of Services with a selector and a ClusterIP.
	// The host cluster cannot tell who connects: whoever reaches such a Service can wake it.
	// +optional
	// +k8s:optional
	WakeOnTraffic bool `json:"wakeOnTraffic,omitempty"`
	// ignore lists requests that do not count as activity, and do not wake the virtual cluster:
	// those of dashboards, of monitoring, or of tools that only compare.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Ignore []IgnoredRequests `json:"ignore,omitempty"`
}

// IgnoredRequests are requests that do not count as activity. A request matches when every list
// that is set contains the request's value. At least one list must be set.
type IgnoredRequests struct {
	// users are the names of users of the host.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Users []string `json:"users,omitempty"`
	// groups are the names of groups of the host's users.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Groups []string `json:"groups,omitempty"`
	// userAgents are prefixes of the header User-Agent, such as "prometheus/".
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	UserAgents []string `json:"userAgents,omitempty"`
	// verbs are verbs of the API: get, list, watch, create, update, patch, delete,
	// deletecollection.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=16
	Verbs []string `json:"verbs,omitempty"`
	// paths are paths of the request inside, such as /metrics. One that ends with an asterisk
	// is a prefix, such as /apis/metrics.k8s.io/*.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Paths []string `json:"paths,omitempty"`
}

// SleepStatus says whether a virtual cluster sleeps, since when, and why.
type SleepStatus struct {
	// number counts how often the virtual cluster has fallen asleep.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	Number int64 `json:"number,omitempty"`
	// since is when it fell asleep. It is not set while the virtual cluster is awake.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Since *metav1.Time `json:"since,omitempty"`
	// reason is why it sleeps: Paused, Inactive or Scheduled.
	// +optional
	Reason string `json:"reason,omitempty"`
	// woken says when it last woke, and why.
	// +optional
	// +k8s:optional
	Woken *WokenStatus `json:"woken,omitempty"`
	// schedule holds the schedules that garret-controller has read, and since when it applies
	// them. Earlier times of a schedule do not count.
	// +optional
	// +k8s:optional
	Schedule *ObservedSchedule `json:"schedule,omitempty"`
	// useCountedSince is since when Garret counts all use, including requests straight to the
	// API inside. It is set where spec.sleep asks for something after inactivity. Earlier time
	// without use does not count.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	UseCountedSince *metav1.Time `json:"useCountedSince,omitempty"`
}

// CountsUse says whether something depends on when the virtual cluster was used last.
func (s *SleepSpec) CountsUse() bool {
	return s.AfterInactivity != nil || s.DeleteAfterInactivity != nil
}

// WokenStatus says when a virtual cluster last woke, and why.
type WokenStatus struct {
	// time is when it woke.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Time *metav1.Time `json:"time,omitempty"`
	// cause is what woke it: Hand, Request, Traffic or Schedule.
	// +optional
	Cause string `json:"cause,omitempty"`
	// user is the host's user whose request woke it.
	// +optional
	User string `json:"user,omitempty"`
}

// ObservedSchedule holds the fields of spec.sleep that say at what times a virtual cluster
// falls asleep and wakes.
type ObservedSchedule struct {
	// schedule is the value of spec.sleep.schedule.
	// +optional
	Schedule string `json:"schedule,omitempty"`
	// wakeSchedule is the value of spec.sleep.wakeSchedule.
	// +optional
	WakeSchedule string `json:"wakeSchedule,omitempty"`
	// timeZone is the value of spec.sleep.timeZone.
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
	// since is when garret-controller first read them.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Since *metav1.Time `json:"since,omitempty"`
}

// WakeRequest is a user's request for a virtual cluster to wake.
type WakeRequest struct {
	// sleep is the number of the sleep that the request ends. It does not end a later sleep.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	Sleep int64 `json:"sleep,omitempty"`
	// time is when the request arrived.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Time *metav1.Time `json:"time,omitempty"`
	// user is the host's user who asked.
	// +optional
	// +k8s:optional
	User string `json:"user,omitempty"`
}

// WakesOnTraffic says whether a connection to one of its Services wakes the virtual cluster.
func (vc *VirtualCluster) WakesOnTraffic() bool {
	return vc.Spec.Sleep.WakeOnTraffic && vc.Status.Asleep() && !vc.Spec.Paused && vc.Status.Sleep.Reason != SleepReasonPaused && vc.DeletionTimestamp == nil
}

// Asleep says whether the virtual cluster fell asleep, and has not woken since.
func (s *VirtualClusterStatus) Asleep() bool { return s.Sleep != nil && s.Sleep.Since != nil }

// Reasons of a sleep.
const (
	// SleepReasonPaused is the reason of a sleep that spec.paused asks for.
	SleepReasonPaused = "Paused"
	// SleepReasonInactive is the reason of a sleep that spec.sleep.afterInactivity asks for.
	SleepReasonInactive = "Inactive"
	// SleepReasonScheduled is the reason of a sleep that spec.sleep.schedule asks for.
	SleepReasonScheduled = "Scheduled"
)

// Causes of a wake.
const (
	// WakeCauseHand is the cause of a wake by somebody who changed the VirtualCluster.
	WakeCauseHand = "Hand"
	// WakeCauseRequest is the cause of a wake by a request into the virtual cluster.
	WakeCauseRequest = "Request"
	// WakeCauseTraffic is the cause of a wake by a connection to a Service of the virtual cluster.
	WakeCauseTraffic = "Traffic"
	// WakeCauseSchedule is the cause of a wake by spec.sleep.wakeSchedule.
	WakeCauseSchedule = "Schedule"
)

// ActivityInterval is how often status.lastActivityTime is written at most. One replica of
// garret-apiserver waits for twice as long after what another one wrote. LeastAfterInactivity and
// this interval together are no less than that.
const ActivityInterval = time.Minute

// Least values of the times of spec.sleep.
const (
	LeastAfterInactivity       = time.Minute
	LeastDeleteAfterInactivity = time.Hour
)

// Reasons of the conditions Ready and Asleep of a virtual cluster that sleeps.
const (
	// ReasonFallingAsleep says that pods, or the control plane, are still stopping.
	ReasonFallingAsleep = "FallingAsleep"
	// ReasonAsleep says that nothing of the virtual cluster runs.
	ReasonAsleep = "Asleep"
	// ReasonAwake says that the virtual cluster does not sleep.
	ReasonAwake = "Awake"
)

// SleepRecordName is the name of the ConfigMap that remembers, on the host, which pods the
// virtual cluster of this name had there when it fell asleep. Each key is the UID of a pod
// inside, its value the UID of the pod on the host.
func SleepRecordName(virtualCluster string) string { return ReleaseName(virtualCluster) + "-asleep" }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SleepSpec says when Garret puts a virtual cluster to sleep, wakes it and deletes it without
// being asked. Neither requests nor schedules wake a virtual cluster while spec.paused is true.
type SleepSpec struct {
	// afterInactivity puts the virtual cluster to sleep when nobody has used it for this long,
	// such as 30m or 8h. At least 1m; it never falls asleep by inactivity when this is not set.
	AfterInactivity *metav1.Duration
	// schedule puts the virtual cluster to sleep at these times, as a cron expression of five
	// fields, such as "0 20 * * 1-5".
	Schedule string
	// wakeSchedule wakes the virtual cluster at these times, as a cron expression of five fields.
	WakeSchedule string
	// timeZone is the time zone of both schedules, by its IANA name, such as Europe/Berlin.
	// Defaults to UTC.
	TimeZone string
	// deleteAfterInactivity deletes the virtual cluster when nobody has used it for this long,
	// such as 720h. At least 1h; Garret never deletes it for inactivity when this is not set.
	DeleteAfterInactivity *metav1.Duration
	// wakeOnTraffic has connections to the Services of a sleeping virtual cluster wake it, while
	// spec.paused is false. This is about TCP ports of Services with a selector and a ClusterIP.
	// The host cluster cannot tell who connects: whoever reaches such a Service can wake it.
	WakeOnTraffic bool
	// ignore lists requests that do not count as activity, and do not wake the virtual cluster:
	// those of dashboards, of monitoring, or of tools that only compare.
	Ignore []IgnoredRequests
}

// IgnoredRequests are requests that do not count as activity. A request matches when every list
// that is set contains the request's value. At least one list must be set.
type IgnoredRequests struct {
	// users are the names of users of the host.
	Users []string
	// groups are the names of groups of the host's users.
	Groups []string
	// userAgents are prefixes of the header User-Agent, such as "prometheus/".
	UserAgents []string
	// verbs are verbs of the API: get, list, watch, create, update, patch, delete,
	// deletecollection.
	Verbs []string
	// paths are paths of the request inside, such as /metrics. One that ends with an asterisk
	// is a prefix, such as /apis/metrics.k8s.io/*.
	Paths []string
}

// SleepStatus says whether a virtual cluster sleeps, since when, and why.
type SleepStatus struct {
	// number counts how often the virtual cluster has fallen asleep.
	Number int64
	// since is when it fell asleep. It is not set while the virtual cluster is awake.
	Since *metav1.Time
	// reason is why it sleeps: Paused, Inactive or Scheduled.
	Reason string
	// woken says when it last woke, and why.
	Woken *WokenStatus
	// schedule holds the schedules that garret-controller has read, and since when it applies
	// them. Earlier times of a schedule do not count.
	Schedule *ObservedSchedule
	// useCountedSince is since when Garret counts all use, including requests straight to the
	// API inside. It is set where spec.sleep asks for something after inactivity. Earlier time
	// without use does not count.
	UseCountedSince *metav1.Time
}

// WokenStatus says when a virtual cluster last woke, and why.
type WokenStatus struct {
	// time is when it woke.
	Time *metav1.Time
	// cause is what woke it: Hand, Request, Traffic or Schedule.
	Cause string
	// user is the host's user whose request woke it.
	User string
}

// ObservedSchedule holds the fields of spec.sleep that say at what times a virtual cluster
// falls asleep and wakes.
type ObservedSchedule struct {
	// schedule is the value of spec.sleep.schedule.
	Schedule string
	// wakeSchedule is the value of spec.sleep.wakeSchedule.
	WakeSchedule string
	// timeZone is the value of spec.sleep.timeZone.
	TimeZone string
	// since is when garret-controller first read them.
	Since *metav1.Time
}

// WakeRequest is a user's request for a virtual cluster to wake.
type WakeRequest struct {
	// sleep is the number of the sleep that the request ends. It does not end a later sleep.
	Sleep int64
	// time is when the request arrived.
	Time *metav1.Time
	// user is the host's user who asked.
	User string
}

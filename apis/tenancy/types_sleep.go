// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SleepSpec says when a virtual cluster falls asleep, wakes and is deleted by itself. What
// spec.paused puts to sleep, neither a request nor a schedule wakes.
type SleepSpec struct {
	// afterInactivity puts the virtual cluster to sleep when nobody has used it for this long,
	// such as 30m or 8h. At least 1m; it never falls asleep by inactivity when not set.
	AfterInactivity *metav1.Duration
	// schedule puts the virtual cluster to sleep at these times, as a cron expression of five
	// fields, such as "0 20 * * 1-5".
	Schedule string
	// wakeSchedule wakes the virtual cluster at these times, as a cron expression of five fields.
	WakeSchedule string
	// timeZone is the zone that both schedules are read in, by its IANA name, such as
	// Europe/Berlin. Defaults to UTC.
	TimeZone string
	// deleteAfterInactivity deletes the virtual cluster when nobody has used it for this long,
	// such as 720h. At least 1h; it is never deleted by inactivity when not set.
	DeleteAfterInactivity *metav1.Duration
	// ignore names requests that are no activity, and do not wake the virtual cluster:
	// those of dashboards, of monitoring, or of tools that only compare.
	Ignore []IgnoredRequests
}

// IgnoredRequests are requests that are no activity. A request is meant when each list that is
// set holds what the request has. At least one list must be set.
type IgnoredRequests struct {
	// users are the names of users of the host.
	Users []string
	// groups are those of users of the host.
	Groups []string
	// userAgents are what the header User-Agent begins with, such as "prometheus/".
	UserAgents []string
	// verbs are those of the API: get, list, watch, create, update, patch, delete, deletecollection.
	Verbs []string
	// paths are what the path of the request inside is, such as /metrics, or begins with,
	// where one ends with an asterisk, such as /apis/metrics.k8s.io/*.
	Paths []string
}

// SleepStatus says whether a virtual cluster sleeps, since when, and why.
type SleepStatus struct {
	// number counts how often the virtual cluster was put to sleep.
	Number int64
	// since is when it was put to sleep. It is not set while the virtual cluster is awake.
	Since *metav1.Time
	// reason is why it was put to sleep: Paused, Inactive or Scheduled.
	Reason string
	// woken says when it was last woken, and by what.
	Woken *WokenStatus
	// schedule is what garret-controller has read of the schedules, and since when. Earlier times
	// of a schedule do not count.
	Schedule *ObservedSchedule
	// useCountedSince is since when all use is counted, straight to the API inside, too. It is set
	// where spec.sleep asks for something after inactivity, and earlier time without use does not count.
	UseCountedSince *metav1.Time
}

// WokenStatus says when a virtual cluster was last woken, and by what.
type WokenStatus struct {
	// time is when it was woken.
	Time *metav1.Time
	// cause is what woke it: Hand, Request or Schedule.
	Cause string
	// user is the user of the host whose request woke it.
	User string
}

// ObservedSchedule is what of spec.sleep says at what times a virtual cluster falls asleep and wakes.
type ObservedSchedule struct {
	// schedule is that of spec.sleep.
	Schedule string
	// wakeSchedule is that of spec.sleep.
	WakeSchedule string
	// timeZone is that of spec.sleep.
	TimeZone string
	// since is when garret-controller read them first.
	Since *metav1.Time
}

// WakeRequest is a request of somebody that asks a virtual cluster to wake.
type WakeRequest struct {
	// sleep is the number of the sleep that the request ends. A later sleep is not meant.
	Sleep int64
	// time is when the request came.
	Time *metav1.Time
	// user is the user of the host who asked.
	User string
}

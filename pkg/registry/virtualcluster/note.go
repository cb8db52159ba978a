// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/duration"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/dormancy"
)

// note is what the phase does not say: since when and why a virtual cluster sleeps and what
// wakes it, why one is not ready, and when one is about to be deleted. It is empty for one
// that is ready and stays.
func note(vc *tenancy.VirtualCluster, now time.Time) string {
	if vc.DeletionTimestamp != nil {
		return ""
	}
	versioned := &v1.VirtualCluster{}
	if err := v1.Convert_tenancy_VirtualCluster_To_v1_VirtualCluster(vc, versioned, nil); err != nil {
		return ""
	}
	var parts []string
	switch ready := meta.FindStatusCondition(vc.Status.Conditions, tenancy.ConditionReady); {
	case versioned.Status.Asleep():
		parts = append(parts, sleepNote(versioned, now))
	case ready == nil, meta.IsStatusConditionTrue(vc.Status.Conditions, tenancy.ConditionReady), ready.Reason == phase(vc):
	default:
		parts = append(parts, ready.Reason)
	}
	if at := deletedAt(versioned, now); !at.IsZero() {
		parts = append(parts, "deleted "+soon(at, now)+" unless used")
	}
	return strings.Join(parts, "; ")
}

// sleepNote says since when and why it sleeps, and what wakes it.
func sleepNote(vc *v1.VirtualCluster, now time.Time) string {
	sleep := vc.Status.Sleep
	wake := fmt.Sprintf("wake it: garret wake %s -n %s", vc.Name, vc.Namespace)
	if sleep.Reason != v1.SleepReasonPaused {
		by := "a request"
		if vc.WakesOnTraffic() {
			by = "a request or a connection"
		}
		wake = by + " wakes it"
		if at := dormancy.WakesAt(vc); !at.IsZero() {
			wake = "wakes " + soon(at, now) + " or by " + by
		}
	}
	begun := "since "
	switch is := func(condition string) bool { return meta.IsStatusConditionTrue(vc.Status.Conditions, condition) }; {
	case is(v1.ConditionStalled):
		begun = "cannot fall asleep since "
	case !is(v1.ConditionAsleep):
		begun = "falling asleep since "
	}
	return begun + duration.HumanDuration(now.Sub(sleep.Since.Time)) + ", " + strings.ToLower(sleep.Reason) + "; " + wake
}

// deletedAt is when garret-controller deletes it because nobody uses it; zero where nothing
// is announced.
func deletedAt(vc *v1.VirtualCluster, now time.Time) time.Time {
	if !meta.IsStatusConditionTrue(vc.Status.Conditions, v1.ConditionDeletionScheduled) {
		return time.Time{}
	}
	return dormancy.DeletionOf(vc, now).At
}

// soon is a time to come, as kubectl prints ages.
func soon(at, now time.Time) string {
	if !at.After(now) {
		return "now"
	}
	return "in " + duration.HumanDuration(at.Sub(now))
}

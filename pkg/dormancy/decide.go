// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dormancy decides when a virtual cluster falls asleep, wakes, and is deleted because
// nobody uses it. It is pure: it knows only the object and the time.
//
// The object stores everything that a decision depends on. So a controller that was away
// catches up on what it missed, and one that starts again decides as the one before.
//
// Four rules keep a decision from surprising anybody. A time of a schedule counts only after
// the object was created, after it last woke, and after the schedule was first read. Time
// without use counts only since Garret counts all use. Garret records use at most once a
// minute, so everything waits for a minute longer than the spec asks. And nothing is deleted
// before its announcement has lasted long enough.
package dormancy

import (
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy/schedule"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// An Action is what garret-controller must do with a virtual cluster.
type Action int

const (
	// Stay changes nothing.
	Stay Action = iota
	// Sleep puts it to sleep for a reason.
	Sleep
	// Wake wakes it for a cause.
	Wake
	// Pause gives its sleep the reason Paused.
	Pause
)

// A Decision is an Action, and when to decide again.
type Decision struct {
	Do Action
	// Reason is that of a sleep.
	Reason string
	// Cause is that of a wake, and User whose request it was, where that is known.
	Cause, User string
	// Again is when time alone changes the decision; zero for never.
	Again time.Time
}

// Decide returns the decision at a time.
func Decide(vc *tenancyv1.VirtualCluster, now time.Time) Decision {
	if vc.Status.Asleep() {
		return decideAsleep(vc, now)
	}
	if vc.Spec.Paused {
		return Decision{Do: Sleep, Reason: tenancyv1.SleepReasonPaused}
	}
	times := timesOf(vc)
	base := latest(vc.CreationTimestamp.Time, woken(vc), times.since)
	if asleep := times.sleep.Last(base, now); asleep.After(times.wake.Last(base, now)) {
		return Decision{Do: Sleep, Reason: tenancyv1.SleepReasonScheduled}
	}
	again := times.sleep.Next(now)
	if after, counted := vc.Spec.Sleep.AfterInactivity, counted(vc); after != nil && !counted.IsZero() {
		due := latest(vc.CreationTimestamp.Time, woken(vc), activity(vc, now), counted).Add(after.Duration + tenancyv1.ActivityInterval)
		if !now.Before(due) {
			return Decision{Do: Sleep, Reason: tenancyv1.SleepReasonInactive}
		}
		again = earliest(again, due)
	}
	return Decision{Again: again}
}

func decideAsleep(vc *tenancyv1.VirtualCluster, now time.Time) Decision {
	sleep := vc.Status.Sleep
	request := vc.Status.WakeRequest
	times := timesOf(vc)
	switch {
	case vc.Spec.Paused && sleep.Reason != tenancyv1.SleepReasonPaused:
		return Decision{Do: Pause, Reason: tenancyv1.SleepReasonPaused}
	case vc.Spec.Paused:
		return Decision{}
	case sleep.Reason == tenancyv1.SleepReasonPaused, vc.Annotations[tenancyv1.AnnotationWake] == strconv.FormatInt(sleep.Number, 10):
		return Decision{Do: Wake, Cause: tenancyv1.WakeCauseHand}
	case request != nil && request.Sleep == sleep.Number:
		return Decision{Do: Wake, Cause: tenancyv1.WakeCauseRequest, User: request.User}
	case sleep.Reason == tenancyv1.SleepReasonInactive && activity(vc, now).After(sleep.Since.Add(-tenancyv1.ActivityInterval)):
		// Somebody used it while it was put to sleep: what was written then was not
		// known to the decision, which wants more than an interval without use.
		return Decision{Do: Wake, Cause: tenancyv1.WakeCauseRequest}
	case !times.wake.Last(latest(sleep.Since.Time, times.since), now).IsZero():
		return Decision{Do: Wake, Cause: tenancyv1.WakeCauseSchedule}
	}
	return Decision{Again: times.wake.Next(now)}
}

// times are those of the schedules, and since when they count.
type times struct {
	sleep, wake schedule.Schedule
	since       time.Time
}

// timesOf reads the schedules once the status says since when they count. One that is wrong
// has no times: validation refuses it.
func timesOf(vc *tenancyv1.VirtualCluster) times {
	if vc.Status.Sleep == nil || vc.Status.Sleep.Schedule == nil || vc.Status.Sleep.Schedule.Since == nil || !reads(vc.Status.Sleep.Schedule, &vc.Spec.Sleep) {
		return times{}
	}
	zone, err := schedule.Zone(vc.Spec.Sleep.TimeZone)
	if err != nil {
		return times{}
	}
	t := times{since: vc.Status.Sleep.Schedule.Since.Time}
	t.sleep, _ = schedule.Parse(vc.Spec.Sleep.Schedule, zone)
	t.wake, _ = schedule.Parse(vc.Spec.Sleep.WakeSchedule, zone)
	return t
}

// Observe is what the status is to say of the schedules: since when they count, if there are any.
func Observe(vc *tenancyv1.VirtualCluster, now time.Time) *tenancyv1.ObservedSchedule {
	spec := &vc.Spec.Sleep
	if spec.Schedule == "" && spec.WakeSchedule == "" {
		return nil
	}
	if sleep := vc.Status.Sleep; sleep != nil && sleep.Schedule != nil && reads(sleep.Schedule, spec) {
		return sleep.Schedule
	}
	since := metav1.NewTime(now)
	return &tenancyv1.ObservedSchedule{Schedule: spec.Schedule, WakeSchedule: spec.WakeSchedule, TimeZone: spec.TimeZone, Since: &since}
}

func reads(observed *tenancyv1.ObservedSchedule, spec *tenancyv1.SleepSpec) bool {
	return observed.Schedule == spec.Schedule && observed.WakeSchedule == spec.WakeSchedule && observed.TimeZone == spec.TimeZone
}

// WakesAt is when its schedule wakes a virtual cluster that sleeps; zero for never.
func WakesAt(vc *tenancyv1.VirtualCluster) time.Time {
	if !vc.Status.Asleep() || vc.Spec.Paused {
		return time.Time{}
	}
	t := timesOf(vc)
	return t.wake.Next(latest(vc.Status.Sleep.Since.Time, t.since))
}

// LastUse is when somebody last used, made or woke a virtual cluster, as far as is known.
func LastUse(vc *tenancyv1.VirtualCluster, now time.Time) time.Time {
	use := latest(vc.CreationTimestamp.Time, activity(vc, now))
	if request := vc.Status.WakeRequest; request != nil && request.Time != nil {
		use = latest(use, earliest(request.Time.Time, now))
	}
	if sleep := vc.Status.Sleep; sleep != nil {
		// A schedule is nobody.
		if sleep.Woken != nil && sleep.Woken.Cause != tenancyv1.WakeCauseSchedule {
			use = latest(use, woken(vc))
		}
		if vc.Status.Asleep() && sleep.Reason == tenancyv1.SleepReasonPaused {
			use = latest(use, sleep.Since.Time)
		}
	}
	return use
}

// counted is since when all use is counted: requests straight to the API inside are, only where
// something depends on it. It is zero while they are not.
func counted(vc *tenancyv1.VirtualCluster) time.Time {
	if vc.Status.Sleep == nil || vc.Status.Sleep.UseCountedSince == nil {
		return time.Time{}
	}
	return vc.Status.Sleep.UseCountedSince.Time
}

// activity is the last one that the status tells of. One that is still to come was now.
func activity(vc *tenancyv1.VirtualCluster, now time.Time) time.Time {
	if vc.Status.LastActivityTime == nil {
		return time.Time{}
	}
	return earliest(vc.Status.LastActivityTime.Time, now)
}

func woken(vc *tenancyv1.VirtualCluster) time.Time {
	if vc.Status.Sleep == nil || vc.Status.Sleep.Woken == nil || vc.Status.Sleep.Woken.Time == nil {
		return time.Time{}
	}
	return vc.Status.Sleep.Woken.Time.Time
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// earliest is the earlier of two times; one that is zero does not come.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

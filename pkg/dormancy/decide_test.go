// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package dormancy

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// now is noon on a Friday.
var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(-d))
	return &t
}

func period(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// a virtual cluster of ten days that is awake, and ready.
func virtualCluster(changes ...func(*tenancyv1.VirtualCluster)) *tenancyv1.VirtualCluster {
	vc := &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo", CreationTimestamp: *ago(240 * time.Hour), Generation: 3}}
	vc.Status.Conditions = []metav1.Condition{{Type: tenancyv1.ConditionReady, Status: metav1.ConditionTrue}}
	for _, change := range changes {
		change(vc)
	}
	return vc
}

type change = func(*tenancyv1.VirtualCluster)

func status(vc *tenancyv1.VirtualCluster) *tenancyv1.SleepStatus {
	if vc.Status.Sleep == nil {
		vc.Status.Sleep = &tenancyv1.SleepStatus{}
	}
	return vc.Status.Sleep
}

func paused(vc *tenancyv1.VirtualCluster) { vc.Spec.Paused = true }

func after(d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) {
		vc.Spec.Sleep.AfterInactivity = period(d)
		status(vc).UseCountedSince = ago(480 * time.Hour)
	}
}

func counts(d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) { status(vc).UseCountedSince = ago(d) }
}

func countsNothing(vc *tenancyv1.VirtualCluster) { status(vc).UseCountedSince = nil }

func used(d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) { vc.Status.LastActivityTime = ago(d) }
}

func asleep(number int64, reason string, d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) {
		status(vc).Number, status(vc).Since, status(vc).Reason = number, ago(d), reason
	}
}

func wokenBy(cause string, d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) {
		status(vc).Woken = &tenancyv1.WokenStatus{Time: ago(d), Cause: cause}
	}
}

func requested(number int64) change {
	return func(vc *tenancyv1.VirtualCluster) {
		vc.Status.WakeRequest = &tenancyv1.WakeRequest{Sleep: number, Time: ago(0), User: "alice"}
	}
}

func annotated(value string) change {
	return func(vc *tenancyv1.VirtualCluster) {
		vc.Annotations = map[string]string{tenancyv1.AnnotationWake: value}
	}
}

// scheduled has schedules that were read some time ago.
func scheduled(sleep, wake string, read time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) {
		vc.Spec.Sleep.Schedule, vc.Spec.Sleep.WakeSchedule = sleep, wake
		status(vc).Schedule = &tenancyv1.ObservedSchedule{Schedule: sleep, WakeSchedule: wake, Since: ago(read)}
	}
}

func changed(vc *tenancyv1.VirtualCluster) { vc.Spec.Sleep.TimeZone = "Europe/Berlin" }

func made(d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) { vc.CreationTimestamp = *ago(d) }
}

func TestDecide(t *testing.T) {
	const (
		hour, day = time.Hour, 24 * time.Hour
		inactive  = tenancyv1.SleepReasonInactive
		onTime    = tenancyv1.SleepReasonScheduled
		byHand    = tenancyv1.SleepReasonPaused
	)
	sleeps := func(reason string) Decision { return Decision{Do: Sleep, Reason: reason} }
	wakes := func(cause, user string) Decision { return Decision{Do: Wake, Cause: cause, User: user} }
	again := func(in time.Duration) Decision { return Decision{Again: now.Add(in)} }
	for name, test := range map[string]struct {
		changes []change
		want    Decision
	}{
		"nothing asked for":         {nil, Decision{}},
		"paused":                    {[]change{paused}, sleeps(byHand)},
		"paused and used":           {[]change{paused, after(hour), used(0)}, sleeps(byHand)},
		"paused already":            {[]change{paused, asleep(1, byHand, hour)}, Decision{}},
		"not paused any more":       {[]change{asleep(1, byHand, hour)}, wakes("Hand", "")},
		"paused while asleep":       {[]change{paused, asleep(2, inactive, hour), requested(2)}, Decision{Do: Pause, Reason: byHand}},
		"used now":                  {[]change{after(hour), used(0)}, again(hour + time.Minute)},
		"used an hour ago":          {[]change{after(hour), used(hour)}, again(time.Minute)},
		"used, and not written":     {[]change{after(hour), used(hour + 59*time.Second)}, again(time.Second)},
		"not used":                  {[]change{after(hour), used(hour + time.Minute)}, sleeps(inactive)},
		"never used":                {[]change{after(hour)}, sleeps(inactive)},
		"never used, and new":       {[]change{after(hour), made(hour)}, again(time.Minute)},
		"use is not counted":        {[]change{after(hour), countsNothing}, Decision{}},
		"use is counted now":        {[]change{after(hour), counts(0)}, again(hour + time.Minute)},
		"use is counted for long":   {[]change{after(hour), counts(hour + time.Minute)}, sleeps(inactive)},
		"woken since":               {[]change{after(hour), used(day), wokenBy("Schedule", time.Minute)}, again(hour)},
		"used in the future":        {[]change{after(hour), used(-day)}, again(hour + time.Minute)},
		"without inactivity":        {[]change{used(day)}, Decision{}},
		"asleep, and not asked":     {[]change{after(hour), asleep(2, inactive, hour), used(3 * hour)}, Decision{}},
		"asked for":                 {[]change{after(hour), asleep(2, inactive, hour), requested(2)}, wakes("Request", "alice")},
		"an earlier sleep asked":    {[]change{after(hour), asleep(2, inactive, hour), requested(1)}, Decision{}},
		"asked while on schedule":   {[]change{scheduled("0 20 * * *", "", 5*day), asleep(2, onTime, hour), requested(2)}, wakes("Request", "alice")},
		"asked while paused":        {[]change{paused, asleep(2, byHand, hour), requested(2)}, Decision{}},
		"by annotation":             {[]change{asleep(12, inactive, hour), annotated("12")}, wakes("Hand", "")},
		"another sleep's":           {[]change{asleep(12, inactive, hour), annotated("11")}, Decision{}},
		"annotated while paused":    {[]change{paused, asleep(12, byHand, hour), annotated("12")}, Decision{}},
		"used in the last moment":   {[]change{after(hour), asleep(2, inactive, hour), used(hour + time.Second)}, wakes("Request", "")},
		"used just afterwards":      {[]change{after(hour), asleep(2, inactive, hour), used(hour - time.Second)}, wakes("Request", "")},
		"used before":               {[]change{after(time.Minute), asleep(2, inactive, hour), used(hour + 2*time.Minute)}, Decision{}},
		"a longer period meanwhile": {[]change{after(day), asleep(2, inactive, hour), used(3 * hour)}, Decision{}},
		"on schedule and used":      {[]change{scheduled("0 20 * * *", "", 5*day), asleep(2, onTime, hour), used(0)}, Decision{}},

		"before its time":                {[]change{scheduled("0 20 * * *", "", hour)}, again(8 * hour)},
		"at its time":                    {[]change{scheduled("0 12 * * *", "", hour)}, sleeps(onTime)},
		"a time that was missed":         {[]change{scheduled("0 20 * * *", "", 5*day)}, sleeps(onTime)},
		"at its time, and used":          {[]change{scheduled("0 12 * * *", "", hour), after(hour), used(0)}, sleeps(onTime)},
		"missed, and so the wake":        {[]change{scheduled("0 20 * * *", "0 7 * * *", 5*day)}, again(8 * hour)},
		"woken, and sleep missed":        {[]change{scheduled("0 11 * * *", "0 7 * * *", 5*day)}, sleeps(onTime)},
		"before it was read":             {[]change{scheduled("0 11 * * *", "", 30*time.Minute)}, again(23 * hour)},
		"before it was made":             {[]change{scheduled("0 11 * * *", "", 5*day), made(30 * time.Minute)}, again(23 * hour)},
		"before it was woken":            {[]change{scheduled("0 11 * * *", "", 5*day), wokenBy("Hand", 30*time.Minute)}, again(23 * hour)},
		"not read yet":                   {[]change{scheduled("0 11 * * *", "", 5*day), changed}, Decision{}},
		"both at one moment, awake":      {[]change{scheduled("0 12 * * *", "0 12 * * *", hour)}, again(day)},
		"both at one moment, asleep":     {[]change{scheduled("0 12 * * *", "0 12 * * *", 5*day), asleep(1, onTime, hour)}, wakes("Schedule", "")},
		"its wake":                       {[]change{scheduled("0 20 * * *", "0 12 * * *", 5*day), asleep(1, onTime, 16*hour)}, wakes("Schedule", "")},
		"a wake that was missed":         {[]change{scheduled("0 20 * * *", "0 7 * * *", 5*day), asleep(1, onTime, 2*day)}, wakes("Schedule", "")},
		"its wake is to come":            {[]change{scheduled("0 20 * * *", "0 7 * * *", 5*day), asleep(1, onTime, hour)}, again(19 * hour)},
		"a wake while paused":            {[]change{paused, scheduled("0 20 * * *", "0 7 * * *", 5*day), asleep(1, byHand, 2*day)}, Decision{}},
		"a wake while inactive":          {[]change{scheduled("", "0 7 * * *", 5*day), asleep(1, inactive, 2*day)}, wakes("Schedule", "")},
		"a wake before it was read":      {[]change{scheduled("", "0 7 * * *", hour), asleep(1, inactive, 2*day)}, again(19 * hour)},
		"inactivity before the schedule": {[]change{scheduled("0 20 * * *", "", hour), after(hour), used(0)}, again(hour + time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(virtualCluster(test.changes...), now)
			if !got.Again.Equal(test.want.Again) {
				t.Errorf("again: got %s, want %s", got.Again, test.want.Again)
			}
			got.Again, test.want.Again = time.Time{}, time.Time{}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestObserve counts a schedule from when it was first read.
func TestObserve(t *testing.T) {
	if got := Observe(virtualCluster(), now); got != nil {
		t.Errorf("without schedules: got %+v", got)
	}
	known := virtualCluster(scheduled("0 20 * * *", "", time.Hour))
	if got := Observe(known, now); got != known.Status.Sleep.Schedule {
		t.Errorf("a known one: got %+v", got)
	}
	changed(known)
	if got := Observe(known, now); got.TimeZone != "Europe/Berlin" || !got.Since.Time.Equal(now) {
		t.Errorf("a changed one: got %+v", got)
	}
}

func TestWakesAt(t *testing.T) {
	vc := virtualCluster(scheduled("0 20 * * *", "0 7 * * *", 100*time.Hour), asleep(1, tenancyv1.SleepReasonScheduled, 16*time.Hour))
	if got, want := WakesAt(vc), now.Add(-5*time.Hour); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	paused(vc)
	if got := WakesAt(vc); !got.IsZero() {
		t.Errorf("paused: got %s", got)
	}
}

func announced(generation int64, d time.Duration) change {
	return func(vc *tenancyv1.VirtualCluster) {
		vc.Status.Conditions = append(vc.Status.Conditions, metav1.Condition{Type: tenancyv1.ConditionDeletionScheduled, Status: metav1.ConditionTrue, ObservedGeneration: generation, LastTransitionTime: *ago(d)})
	}
}

func TestDeletion(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	unused := func(d time.Duration) change {
		return func(vc *tenancyv1.VirtualCluster) {
			vc.Spec.Sleep.DeleteAfterInactivity = period(d)
			status(vc).UseCountedSince = ago(24000 * time.Hour)
		}
	}
	protected := func(vc *tenancyv1.VirtualCluster) { vc.Spec.DeletionProtection = true }
	notReady := func(vc *tenancyv1.VirtualCluster) { vc.Status.Conditions[0].Status = metav1.ConditionFalse }
	for name, test := range map[string]struct {
		changes   []change
		stage     Stage
		at, again time.Duration
	}{
		"not asked for":              {nil, NotAsked, 0, 0},
		"used":                       {[]change{unused(10 * hour), used(0)}, NotDue, 0, 9*hour + time.Minute},
		"used nine hours ago":        {[]change{unused(10 * hour), used(9 * hour)}, NotDue, 0, time.Minute},
		"to be announced":            {[]change{unused(10 * hour), used(9*hour + time.Minute)}, Announced, hour, 54 * time.Minute},
		"stands announced":           {[]change{unused(10 * hour), used(9*hour + 31*time.Minute), announced(3, 30*time.Minute)}, Announced, 30 * time.Minute, 24 * time.Minute},
		"soon":                       {[]change{unused(10 * hour), used(9*hour + 56*time.Minute), announced(3, 55*time.Minute)}, Soon, 5 * time.Minute, 5 * time.Minute},
		"due":                        {[]change{unused(10 * hour), used(10*hour + time.Minute), announced(3, hour)}, Due, 0, 0},
		"due, and not ready":         {[]change{unused(10 * hour), used(10*hour + time.Minute), announced(3, hour), notReady}, Soon, 0, 0},
		"due, asleep, and not ready": {[]change{unused(10 * hour), asleep(1, tenancyv1.SleepReasonInactive, 5*hour), used(10*hour + time.Minute), announced(3, hour), notReady}, Due, 0, 0},
		"unused for long, new field": {[]change{unused(10 * hour)}, Announced, hour, 54 * time.Minute},
		"use is not counted":         {[]change{unused(10 * hour), countsNothing, announced(3, 100*hour)}, NotDue, 0, 0},
		"use is counted now":         {[]change{unused(10 * hour), counts(0), announced(3, 100*hour)}, NotDue, 0, 9*hour + time.Minute},
		"announced before a use":     {[]change{unused(10 * hour), used(10*hour + time.Minute), announced(3, 20*hour)}, Announced, hour, 54 * time.Minute},
		"announced for another spec": {[]change{unused(10 * hour), announced(2, 100*hour)}, Announced, hour, 54 * time.Minute},
		"announced for less":         {[]change{unused(10 * hour), announced(3, 59*time.Minute)}, Soon, time.Minute, time.Minute},
		"used after announcement":    {[]change{unused(10 * hour), used(time.Minute), announced(3, hour)}, NotDue, 0, 9 * hour},
		"protected":                  {[]change{unused(10 * hour), protected, announced(3, 100*hour)}, Protected, 0, 0},
		"protected and used":         {[]change{unused(10 * hour), protected, used(0)}, NotDue, 0, 9*hour + time.Minute},
		"asleep, and counts on":      {[]change{unused(10 * hour), asleep(1, tenancyv1.SleepReasonInactive, 5*hour), used(10*hour + time.Minute), announced(3, hour)}, Due, 0, 0},
		"paused by somebody":         {[]change{unused(10 * hour), paused, asleep(1, tenancyv1.SleepReasonPaused, 5*hour), used(10*hour + time.Minute), announced(3, hour)}, NotDue, 0, 4*hour + time.Minute},
		"woken by a request":         {[]change{unused(10 * hour), wokenBy(tenancyv1.WakeCauseRequest, hour), used(11 * hour)}, NotDue, 0, 8*hour + time.Minute},
		"woken by a schedule":        {[]change{unused(10 * hour), wokenBy(tenancyv1.WakeCauseSchedule, hour), used(10*hour + time.Minute), announced(3, hour)}, Due, 0, 0},
		"a long notice":              {[]change{unused(1000 * day), made(993 * day), used(993*day + time.Minute)}, NotDue, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got := DeletionOf(virtualCluster(test.changes...), now)
			if got.Stage != test.stage {
				t.Fatalf("got stage %d of %+v, want %d", got.Stage, got, test.stage)
			}
			if test.at != 0 && !got.At.Equal(now.Add(test.at)) {
				t.Errorf("at: got %s, want %s", got.At, now.Add(test.at))
			}
			if test.again != 0 && !got.Again.Equal(now.Add(test.again)) || test.again == 0 && !got.Again.IsZero() {
				t.Errorf("again: got %s, want in %s", got.Again, test.again)
			}
		})
	}
}

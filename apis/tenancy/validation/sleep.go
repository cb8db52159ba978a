// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/schedule"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// sleepTimes judges when a virtual cluster falls asleep, wakes and is deleted by itself.
func sleepTimes(sleep *tenancy.SleepSpec, path *field.Path) field.ErrorList {
	errs := atLeast(sleep.AfterInactivity, v1.LeastAfterInactivity, "30m", path.Child("afterInactivity"))
	errs = append(errs, atLeast(sleep.DeleteAfterInactivity, v1.LeastDeleteAfterInactivity, "720h", path.Child("deleteAfterInactivity"))...)
	zone, err := schedule.Zone(sleep.TimeZone)
	if err != nil {
		errs = append(errs, field.Invalid(path.Child("timeZone"), sleep.TimeZone, err.Error()+`, such as "Europe/Berlin"`))
		zone = time.UTC
	}
	errs = append(errs, expression(sleep.Schedule, zone, path.Child("schedule"))...)
	return append(errs, expression(sleep.WakeSchedule, zone, path.Child("wakeSchedule"))...)
}

func expression(expression string, zone *time.Location, path *field.Path) field.ErrorList {
	if _, err := schedule.Parse(expression, zone); err != nil {
		return field.ErrorList{field.Invalid(path, expression, fmt.Sprintf("%v; right is for example %q", err, schedule.Example))}
	}
	return nil
}

func atLeast(duration *metav1.Duration, least time.Duration, example string, path *field.Path) field.ErrorList {
	if duration == nil || duration.Duration >= least {
		return nil
	}
	return field.ErrorList{field.Invalid(path, duration.Duration.String(), fmt.Sprintf("must be at least %s, such as %s", least, example))}
}

// sleepless refuses a sleep in which everything inside would be lost.
func sleepless(spec *tenancy.VirtualClusterSpec, path *field.Path) field.ErrorList {
	storage, datastore := spec.ControlPlane.Storage, spec.ControlPlane.Datastore
	if ptr.Deref(storage.Persistent, true) || datastore != nil {
		return nil
	}
	var errs field.ErrorList
	for _, asks := range []struct {
		path *field.Path
		set  bool
	}{
		{path.Child("paused"), spec.Paused},
		{path.Child("sleep", "afterInactivity"), spec.Sleep.AfterInactivity != nil},
		{path.Child("sleep", "schedule"), spec.Sleep.Schedule != ""},
	} {
		if asks.set {
			errs = append(errs, field.Forbidden(asks.path, "the data of the control plane end with its pod, since controlPlane.storage.persistent is false: "+
				"only a virtual cluster with a volume, or with controlPlane.datastore, can sleep; make a new one, or delete this one"))
		}
	}
	return errs
}

// ended is a number of a sleep.
var ended = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)

// wake judges the annotation that ends a sleep, unless old says the same.
func wake(annotations, old map[string]string, path *field.Path) field.ErrorList {
	value, set := annotations[v1.AnnotationWake]
	if before, was := old[v1.AnnotationWake]; !set || was && value == before || ended.MatchString(value) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Key(v1.AnnotationWake), value, "must be the number of the sleep that it ends, which is status.sleep.number, such as 3")}
}

// hostSleep judges the bounds of a host cluster.
func hostSleep(sleep *tenancy.HostSleep, path *field.Path) field.ErrorList {
	errs := atLeast(sleep.MaxAfterInactivity, v1.LeastAfterInactivity, "8h", path.Child("maxAfterInactivity"))
	return append(errs, atLeast(sleep.MinDeleteAfterInactivity, v1.LeastDeleteAfterInactivity, "168h", path.Child("minDeleteAfterInactivity"))...)
}

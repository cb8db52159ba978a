// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package dormancy

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// longestNotice is how long before a deletion it is announced at most.
const longestNotice = 7 * 24 * time.Hour

// A Stage is how far a deletion for inactivity is.
type Stage int

const (
	// NotAsked means that spec.sleep.deleteAfterInactivity is not set.
	NotAsked Stage = iota
	// NotDue means that somebody used the virtual cluster not long ago.
	NotDue
	// Protected means that only spec.deletionProtection keeps it.
	Protected
	// Announced means that the deletion is announced, and Soon that little is left of that time.
	Announced
	Soon
	// Due means that garret-controller must delete it now.
	Due
)

// A Deletion is how far a deletion for inactivity is.
type Deletion struct {
	Stage Stage
	// LastUse is when somebody last used the virtual cluster, and At when it is deleted
	// unless somebody does again.
	LastUse, At time.Time
	// Since is since when the deletion stands announced; zero where it does not yet.
	Since time.Time
	// Again is when time alone changes the stage; zero for never.
	Again time.Time
}

// DeletionOf says how far a deletion is at a time. It is never due before its announcement, which the
// condition DeletionScheduled is, stands for the time of notice: neither after a change
// of the spec, nor after the controller was away. And it is not due while use may go uncounted.
func DeletionOf(vc *tenancyv1.VirtualCluster, now time.Time) Deletion {
	period := vc.Spec.Sleep.DeleteAfterInactivity
	if period == nil {
		return Deletion{}
	}
	d := Deletion{LastUse: LastUse(vc, now)}
	counted := counted(vc)
	if counted.IsZero() {
		d.Stage = NotDue
		return d
	}
	notice := min(period.Duration/10, longestNotice)
	due := latest(d.LastUse, counted).Add(period.Duration + tenancyv1.ActivityInterval)
	if begins := due.Add(-notice); now.Before(begins) {
		d.Stage, d.Again = NotDue, begins
		return d
	}
	if vc.Spec.DeletionProtection {
		d.Stage = Protected
		return d
	}
	d.Since = announcement(vc, d.LastUse)
	d.At = latest(due, d.Since.Add(notice))
	if d.Since.IsZero() {
		d.At = latest(due, now.Truncate(time.Second).Add(notice))
	}
	soon := d.At.Add(-notice / 10)
	switch {
	case !d.Since.IsZero() && !now.Before(d.At) && !isCounted(vc):
		// It waits, until use is known again.
		d.Stage = Soon
	case !d.Since.IsZero() && !now.Before(d.At):
		d.Stage = Due
	case !now.Before(soon):
		d.Stage, d.Again = Soon, d.At
	default:
		d.Stage, d.Again = Announced, soon
	}
	return d
}

// isCounted says whether all use is counted at this moment. While it sleeps, there is none. While it
// is awake and not ready, its syncer may not report what it sees.
func isCounted(vc *tenancyv1.VirtualCluster) bool {
	return vc.Status.Asleep() || meta.IsStatusConditionTrue(vc.Status.Conditions, tenancyv1.ConditionReady)
}

// announcement is since when the deletion stands announced for this spec, and because of inactivity since
// the last one; zero where it does not.
func announcement(vc *tenancyv1.VirtualCluster, used time.Time) time.Time {
	condition := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionDeletionScheduled)
	if condition == nil || condition.Status != metav1.ConditionTrue || condition.ObservedGeneration != vc.Generation ||
		condition.LastTransitionTime.Time.Before(used) {
		return time.Time{}
	}
	return condition.LastTransitionTime.Time
}

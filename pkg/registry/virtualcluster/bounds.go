// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

var (
	quotaPath   = specPath.Child("isolation", "quota", "hard")
	podsPath    = specPath.Child("syncer", "pods")
	sleepPath   = specPath.Child("sleep")
	storagePath = specPath.Child("syncer", "toHost")
)

// bound holds a spec to what its host cluster allows.
func bound(spec, old *tenancy.VirtualClusterSpec, host *tenancy.HostCluster) field.ErrorList {
	if host == nil {
		return nil
	}
	errs := append(boundQuota(spec, old, host), boundPodRules(spec, old, host)...)
	return append(errs, boundSleep(spec, old, host)...)
}

// boundStorage refuses kinds of storage of which the host cluster allows nothing to the namespace.
// What is on already stays: then every object is refused, with the reason.
func boundStorage(spec, old *tenancy.VirtualClusterSpec, namespace string, host *tenancy.HostCluster) field.ErrorList {
	if host == nil {
		return nil
	}
	var before tenancy.ToHostSpec
	if old != nil {
		before = old.Syncer.ToHost
	}
	external := &v1.AllowedStorage{}
	if err := v1.Convert_tenancy_AllowedStorage_To_v1_AllowedStorage(&host.Spec.Isolation.AllowedStorage, external, nil); err != nil {
		return field.ErrorList{field.InternalError(storagePath, err)}
	}
	allowed := external.In(namespace)
	volumes, snapshots := len(allowed.NFS), 0
	for i := range allowed.CSI {
		volumes += len(allowed.CSI[i].VolumeHandles)
		snapshots += len(allowed.CSI[i].SnapshotHandles)
	}
	var errs field.ErrorList
	for _, kind := range []struct {
		name, what, where string
		now, before       *bool
		allowed           int
	}{
		{"persistentVolumes", "volumes", "csi or nfs", spec.Syncer.ToHost.PersistentVolumes.Enabled, before.PersistentVolumes.Enabled, volumes},
		{"storageClasses", "classes", "storageClasses", spec.Syncer.ToHost.StorageClasses.Enabled, before.StorageClasses.Enabled, len(allowed.StorageClasses)},
		{"volumeSnapshotContents", "snapshots", "csi, with snapshotHandles", spec.Syncer.ToHost.VolumeSnapshotContents.Enabled, before.VolumeSnapshotContents.Enabled, snapshots},
	} {
		if ptr.Deref(kind.now, false) && !ptr.Deref(kind.before, false) && kind.allowed == 0 {
			errs = append(errs, field.Forbidden(storagePath.Child(kind.name, "enabled"), fmt.Sprintf(
				"the host cluster %s allows no %s to the namespace %s: leave it off, or have some added to spec.isolation.allowedStorage of the HostCluster, in %s",
				host.Name, kind.what, namespace, kind.where)))
		}
	}
	return errs
}

// boundSleep has virtual clusters without use fall asleep no later, and be deleted no sooner,
// than the host cluster says. What cannot sleep need not.
func boundSleep(spec, old *tenancy.VirtualClusterSpec, host *tenancy.HostCluster) field.ErrorList {
	var errs field.ErrorList
	var before tenancy.SleepSpec
	if old != nil {
		before = old.Sleep
	}
	most, least := host.Spec.Sleep.MaxAfterInactivity, host.Spec.Sleep.MinDeleteAfterInactivity
	asleep, gone := &spec.Sleep.AfterInactivity, spec.Sleep.DeleteAfterInactivity
	canSleep := ptr.Deref(spec.ControlPlane.Storage.Persistent, true) || spec.ControlPlane.Datastore != nil
	switch {
	case most == nil, !canSleep, old != nil && ptr.Equal(*asleep, before.AfterInactivity):
	case *asleep == nil:
		*asleep = &metav1.Duration{Duration: most.Duration}
	case (*asleep).Duration > most.Duration:
		errs = append(errs, field.Forbidden(sleepPath.Child("afterInactivity"), fmt.Sprintf(
			"%s is more than the %s that the host cluster %s allows: ask for less, or have spec.sleep.maxAfterInactivity of the HostCluster raised",
			(*asleep).Duration, most.Duration, host.Name)))
	}
	if least != nil && gone != nil && gone.Duration < least.Duration && (old == nil || !ptr.Equal(gone, before.DeleteAfterInactivity)) {
		errs = append(errs, field.Forbidden(sleepPath.Child("deleteAfterInactivity"), fmt.Sprintf(
			"%s is less than the %s that the host cluster %s wants: ask for more, or have spec.sleep.minDeleteAfterInactivity of the HostCluster lowered",
			gone.Duration, least.Duration, host.Name)))
	}
	if host.Spec.Sleep.DenyWakeOnTraffic && spec.Sleep.WakeOnTraffic && !before.WakeOnTraffic {
		errs = append(errs, field.Forbidden(sleepPath.Child("wakeOnTraffic"), fmt.Sprintf(
			"the host cluster %s does not let connections wake virtual clusters: leave it out, or have spec.sleep.denyWakeOnTraffic of the HostCluster removed", host.Name)))
	}
	return errs
}

// boundQuota holds the quota of a spec to the most that its host cluster allows. A name
// that nobody sets gets that. What an earlier spec says already may stay: a bound
// that is lowered later is no reason to refuse a write about something else.
func boundQuota(spec, old *tenancy.VirtualClusterSpec, host *tenancy.HostCluster) field.ErrorList {
	var errs field.ErrorList
	most := host.Spec.Isolation.Quota.Hard
	for _, name := range slices.Sorted(maps.Keys(most)) {
		limit := most[name]
		asked, set := spec.Isolation.Quota.Hard[name]
		if old != nil {
			before, had := old.Isolation.Quota.Hard[name]
			if set == had && asked.Cmp(before) == 0 {
				continue
			}
		}
		switch {
		case !set:
			if spec.Isolation.Quota.Hard == nil {
				spec.Isolation.Quota.Hard = corev1.ResourceList{}
			}
			spec.Isolation.Quota.Hard[name] = limit.DeepCopy()
		case asked.Cmp(limit) > 0:
			errs = append(errs, field.Forbidden(quotaPath.Key(string(name)), fmt.Sprintf(
				"%s is more than the %s that the host cluster %s allows: ask for less, or have spec.isolation.quota of the HostCluster raised",
				asked.String(), limit.String(), host.Name)))
		}
	}
	return errs
}

// boundPodRules refuses rules for pods that the host cluster does not allow, but those that an
// earlier spec has: the controller hands them on while they are allowed, and no longer.
func boundPodRules(spec, old *tenancy.VirtualClusterSpec, host *tenancy.HostCluster) field.ErrorList {
	var before tenancy.PodRules
	if old != nil {
		before = old.Syncer.Pods
	}
	rules, allowed := &spec.Syncer.Pods, &host.Spec.Isolation.AllowedPodRules
	errs := allowedKeys(rules.Labels, before.Labels, allowed.Labels, "labels", host)
	errs = append(errs, allowedKeys(rules.Annotations, before.Annotations, allowed.Annotations, "annotations", host)...)
	for i, rule := range rules.PriorityClasses {
		if !slices.Contains(allowed.PriorityClasses, rule.Host) && !slices.Contains(before.PriorityClasses, rule) {
			errs = append(errs, notAllowed(podsPath.Child("priorityClasses").Index(i).Child("host"), rule.Host, "priorityClasses", host))
		}
	}
	return errs
}

func allowedKeys(values, before map[string]string, allowed []string, name string, host *tenancy.HostCluster) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(values)) {
		was, had := before[key]
		if !v1.MatchesKey(allowed, key) && (!had || was != values[key]) {
			errs = append(errs, notAllowed(podsPath.Child(name).Key(key), key, name, host))
		}
	}
	return errs
}

func notAllowed(path *field.Path, what, name string, host *tenancy.HostCluster) *field.Error {
	return field.Forbidden(path, fmt.Sprintf("the host cluster %s does not allow %s: leave it out, or have it added to spec.isolation.allowedPodRules.%s of the HostCluster", host.Name, what, name))
}

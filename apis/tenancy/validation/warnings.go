// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// leastMemory is a limit that a control plane lives with. An idle one takes 230Mi.
var leastMemory = resource.MustParse("384Mi")

// everybody are groups that the host puts all users in that it knows, or does not.
var everybody = []string{"system:authenticated", "system:unauthenticated"}

// Warnings tell what is allowed in the parts of a VirtualCluster that differ
// from old, which is nil for a new one, and is probably not what was meant.
func Warnings(vc, old *tenancy.VirtualCluster) []string {
	before := tenancy.VirtualClusterSpec{}
	if old != nil {
		before = old.Spec
	}
	path := field.NewPath("spec")
	var warnings []string
	if !equality.Semantic.DeepEqual(vc.Spec.ControlPlane, before.ControlPlane) {
		warnings = append(warnings, unusedStorage(&vc.Spec.ControlPlane.Storage, path.Child("controlPlane", "storage"))...)
		warnings = append(warnings, scantMemory(&vc.Spec.ControlPlane.Resources, path.Child("controlPlane", "resources"))...)
	}
	if !equality.Semantic.DeepEqual(vc.Spec.Access, before.Access) {
		warnings = append(warnings, wideAccess(vc.Spec.Access, path.Child("access"))...)
	}
	if !equality.Semantic.DeepEqual(vc.Spec.Sleep, before.Sleep) {
		warnings = append(warnings, sleepWarnings(&vc.Spec, path)...)
	}
	return warnings
}

// sleepWarnings are about a deletion that takes data, or that nothing leads to.
func sleepWarnings(spec *tenancy.VirtualClusterSpec, path *field.Path) []string {
	var warnings []string
	at := path.Child("sleep", "deleteAfterInactivity")
	switch {
	case spec.Sleep.DeleteAfterInactivity == nil:
	case spec.DeletionProtection:
		warnings = append(warnings, fmt.Sprintf("%s: has no effect while %s is true", at, path.Child("deletionProtection")))
	case spec.ControlPlane.Storage.WhenDeleted != tenancy.RetentionRetain:
		warnings = append(warnings, fmt.Sprintf("%s: deletes the data, too: set %s to %s to keep the volumes",
			at, path.Child("controlPlane", "storage", "whenDeleted"), tenancy.RetentionRetain))
	}
	if spec.Sleep.TimeZone != "" && spec.Sleep.Schedule == "" && spec.Sleep.WakeSchedule == "" {
		warnings = append(warnings, fmt.Sprintf("%s: has no effect without a schedule", path.Child("sleep", "timeZone")))
	}
	if spec.Sleep.WakeOnTraffic && spec.Sleep.AfterInactivity == nil && spec.Sleep.Schedule == "" {
		warnings = append(warnings, fmt.Sprintf("%s: has no effect without afterInactivity or a schedule: nothing wakes a paused virtual cluster", path.Child("sleep", "wakeOnTraffic")))
	}
	return warnings
}

// unusedStorage is about what describes a volume that there is not.
func unusedStorage(storage *tenancy.StorageSpec, path *field.Path) []string {
	if ptr.Deref(storage.Persistent, true) {
		return nil
	}
	var warnings []string
	for _, described := range []struct {
		name string
		set  bool
	}{
		{"size", storage.Size != nil},
		{"storageClassName", storage.StorageClassName != nil},
		{"whenDeleted", storage.WhenDeleted == tenancy.RetentionRetain},
	} {
		if described.set {
			warnings = append(warnings, fmt.Sprintf("%s: has no effect, since %s is false", path.Child(described.name), path.Child("persistent")))
		}
	}
	return warnings
}

func scantMemory(resources *corev1.ResourceRequirements, path *field.Path) []string {
	var warnings []string
	if limit, ok := resources.Limits[corev1.ResourceMemory]; ok && limit.Cmp(leastMemory) < 0 {
		warnings = append(warnings, fmt.Sprintf("%s: a control plane is killed where it takes more than %s: give it %s or more",
			path.Child("limits").Key("memory"), limit.String(), leastMemory.String()))
	}
	for name, list := range map[string]corev1.ResourceList{"limits": resources.Limits, "requests": resources.Requests} {
		for _, key := range slices.Sorted(maps.Keys(list)) {
			if quantity := list[key]; key != corev1.ResourceCPU && quantity.MilliValue()%1000 != 0 {
				warnings = append(warnings, fmt.Sprintf("%s: %s is a fraction of a byte", path.Child(name).Key(string(key)), quantity.String()))
			}
		}
	}
	slices.Sort(warnings)
	return warnings
}

func wideAccess(rules []tenancy.AccessRule, path *field.Path) []string {
	var warnings []string
	for i, rule := range rules {
		for j, group := range rule.Groups {
			if slices.Contains(everybody, group) {
				warnings = append(warnings, fmt.Sprintf("%s: all users of the host are in %s, and get the rights of %s",
					path.Index(i).Child("groups").Index(j), group, rule.ClusterRole))
			}
		}
		for name, subjects := range map[string][]string{"users": rule.Users, "groups": rule.Groups} {
			for j, subject := range subjects {
				if plain, ok := strings.CutPrefix(subject, v1.HostUserPrefix); ok {
					warnings = append(warnings, fmt.Sprintf("%s: is the name inside: the host's own is probably %s",
						path.Index(i).Child(name).Index(j), plain))
				}
			}
		}
	}
	slices.Sort(warnings)
	return warnings
}

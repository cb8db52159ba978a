// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

var quotaPath = specPath.Child("isolation", "quota", "hard")

// bound holds the quota of a spec to the most that its host cluster allows. A name
// that nobody sets gets that. What an earlier spec says already may stay: a bound
// that is lowered later is no reason to refuse a write about something else.
func bound(spec, old *tenancy.VirtualClusterSpec, host *tenancy.HostCluster) field.ErrorList {
	if host == nil {
		return nil
	}
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

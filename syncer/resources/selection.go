// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"slices"
	"strings"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Selection says which kinds are synced.
type Selection map[string]bool

// Select takes the names of kinds to sync and not to sync.
func Select(enable, disable []string) (Selection, error) {
	selection := Selection{}
	for _, name := range tenancyv1.SyncedResources() {
		selection[name] = true
	}
	possible := slices.Concat(tenancyv1.SyncedResources(), tenancyv1.OptionalResources())
	for _, name := range enable {
		if !slices.Contains(possible, name) {
			return nil, fmt.Errorf("cannot sync %q: the kinds are %s", name, strings.Join(possible, ", "))
		}
	}
	for _, name := range disable {
		if !slices.Contains(possible, name) && !slices.Contains(tenancyv1.ReservedResources(), name) {
			return nil, fmt.Errorf("unknown kind %q: the kinds are %s", name, strings.Join(possible, ", "))
		}
		selection[name] = false
	}
	for _, name := range enable {
		selection[name] = true
	}
	return selection, nil
}

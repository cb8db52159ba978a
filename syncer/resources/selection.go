// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import tenancyv1 "garret.dev/garret/apis/tenancy/v1"

// Selection says which kinds are synced.
type Selection map[string]bool

// Select takes the names of kinds to sync and not to sync.
func Select(enable, disable []string) (Selection, error) {
	return tenancyv1.SelectResources(enable, disable)
}

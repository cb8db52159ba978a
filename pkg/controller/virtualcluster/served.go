// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// servedVersion is the newest version of a kind with a rule of Garret's own that the host serves.
// Where it serves none, the syncer says so of the newest.
func (c *Controller) servedVersion(kind *tenancyv1.BuiltInKind) (string, error) {
	if len(kind.Versions) == 1 {
		return kind.Versions[0], nil
	}
	group := kind.Rule.GroupVersionResource().Group
	for _, version := range kind.Versions {
		served, err := c.Host.Discovery().ServerResourcesForGroupVersion(group + "/" + version)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("kinds of %s/%s on the host: %w", group, version, err)
		}
		if slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Name == kind.Rule.Resource }) {
			return version, nil
		}
	}
	return kind.Versions[0], nil
}

// served is the kind in a version that the host serves now. It may have been recorded in one that is
// not served any more, which would hide what is left of it.
func (c *Controller) served(kind tenancyv1.SyncedKind) (tenancyv1.SyncedKind, error) {
	for _, built := range (&tenancyv1.SyncerSpec{}).BuiltIn() {
		if at := built.Rule.GroupVersionResource(); at.Group != kind.Group || at.Resource != kind.Resource {
			continue
		}
		var err error
		if kind.Version, err = c.servedVersion(&built); err != nil {
			return kind, err
		}
	}
	return kind, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// servedVersion is the newest version of a kind with a rule of Garret's own that the host serves.
// Where it serves none, the syncer says so of the newest.
func (c *Controller) servedVersion(kind *tenancyv1.BuiltInKind) (string, error) {
	if len(kind.Versions) == 1 {
		return kind.Versions[0], nil
	}
	at := kind.Rule.GroupVersionResource()
	for _, at.Version = range kind.Versions {
		if served, err := serves(c.Host.Discovery(), at); err != nil || served {
			return at.Version, err
		}
	}
	return kind.Versions[0], nil
}

// serves tells whether the host serves the kind in the version.
func serves(host discovery.ServerResourcesInterface, at schema.GroupVersionResource) (bool, error) {
	served, err := host.ServerResourcesForGroupVersion(at.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("kinds of %s on the host: %w", at.GroupVersion(), err)
	}
	return slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Name == at.Resource }), nil
}

// unserved are the kinds that are on by default and that the host is without. One that the spec asks for
// by name is an error: a syncer would wait for it without end. garret-apiserver refuses such a spec, so
// the spec is older than a change of the host.
func (c *Controller) unserved(spec *tenancyv1.SyncerSpec) ([]string, error) {
	missing, err := spec.Unserved(c.facts.serves)
	if err != nil {
		return nil, err
	}
	var names, asked []string
	for i := range missing {
		names = append(names, missing[i].Resource)
		if missing[i].Asked {
			asked = append(asked, "spec.syncer."+missing[i].Field+": "+missing[i].Message())
		}
	}
	if len(asked) > 0 {
		return nil, &trouble{Reason: reasonKindNotServed, Message: strings.Join(asked, "; "), final: true, retry: true}
	}
	return names, nil
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"net/http"
	"slices"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/test/framework"
)

func discoveryChecks() []check {
	return []check{
		{"discovery", "discovery names the resource, its singular, short name, category, scope, kind, verbs and storage version", []need{noObject}, discovery},
		{"discovery-status", "discovery lists the subresource status with its verbs", []need{aStatus, noObject}, discoveryStatus},
		{"discovery-aggregated", "aggregated discovery says the same, and is current", []need{noObject}, aggregatedDiscovery},
		{"discovery-group", "the group has its version, which is the preferred one", []need{noObject}, discoveryGroup},
	}
}

// verbs are those of every kind, in the order of discovery.
var verbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

const category = "garret"

func (s *subject) resources() map[string]metav1.APIResource {
	s.Helper()
	var list metav1.APIResourceList
	s.decode(s.expect(http.StatusOK, s.send("GET", root, nil)), &list)
	found := map[string]metav1.APIResource{}
	for _, resource := range list.APIResources {
		found[resource.Name] = resource
	}
	return found
}

func discovery(s *subject) {
	got, found := s.resources()[s.resource]
	if !found {
		s.Fatalf("%s is not there", s.resource)
	}
	if got.SingularName != s.singular || got.Namespaced != s.namespaced || got.Kind != s.kind.kind ||
		!slices.Equal(got.ShortNames, []string{s.short}) || !slices.Equal(got.Categories, []string{category}) ||
		!slices.Equal([]string(got.Verbs), verbs) || got.StorageVersionHash == "" {
		s.Errorf("got %+v", got)
	}
}

func discoveryStatus(s *subject) {
	got, found := s.resources()[s.resource+"/status"]
	if !found || got.Kind != s.kind.kind || got.Namespaced != s.namespaced || !slices.Equal([]string(got.Verbs), []string{"get", "patch", "update"}) {
		s.Errorf("got %+v, want %s with get, patch and update", got, s.kind.kind)
	}
}

func aggregatedDiscovery(s *subject) {
	var version apidiscovery.APIVersionDiscovery
	framework.Eventually(s, "the host has asked", func(context.Context) (bool, error) {
		var groups apidiscovery.APIGroupDiscoveryList
		s.decode(s.expect(http.StatusOK, s.send("GET", "/apis", nil, "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")), &groups)
		for _, group := range groups.Items {
			if group.Name == "tenancy.garret.dev" && len(group.Versions) == 1 {
				version = group.Versions[0]
			}
		}
		return version.Freshness == apidiscovery.DiscoveryFreshnessCurrent, nil
	})
	at := slices.IndexFunc(version.Resources, func(r apidiscovery.APIResourceDiscovery) bool { return r.Resource == s.resource })
	if at < 0 {
		s.Fatalf("%s is not there", s.resource)
	}
	got := version.Resources[at]
	scope := apidiscovery.ScopeCluster
	if s.namespaced {
		scope = apidiscovery.ScopeNamespace
	}
	if got.SingularResource != s.singular || got.Scope != scope || got.ResponseKind == nil || got.ResponseKind.Kind != s.kind.kind ||
		!slices.Equal(got.ShortNames, []string{s.short}) || !slices.Equal(got.Categories, []string{category}) || !slices.Equal(got.Verbs, verbs) {
		s.Errorf("got %+v", got)
	}
	status := slices.ContainsFunc(got.Subresources, func(r apidiscovery.APISubresourceDiscovery) bool { return r.Subresource == "status" })
	if status != s.status {
		s.Errorf("subresource status: got %v, want %v", status, s.status)
	}
}

func discoveryGroup(s *subject) {
	var group metav1.APIGroup
	s.decode(s.expect(http.StatusOK, s.send("GET", "/apis/tenancy.garret.dev", nil)), &group)
	if group.PreferredVersion.Version != "v1" || len(group.Versions) != 1 || group.Versions[0].GroupVersion != "tenancy.garret.dev/v1" {
		s.Errorf("got %+v, want v1 alone", group)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// kept are the Services inside that Garret keeps, or the control plane does.
func kept() []tenancy.ServiceName {
	return []tenancy.ServiceName{{Namespace: "default", Name: "kubernetes"}, {Namespace: "kube-system", Name: "kube-dns"}, {Namespace: "kube-system", Name: "garret-metrics"}}
}

// hostMappings judges under which further names Services are on the host. Those of releases
// are not to be had: the next virtual cluster could not be made.
func hostMappings(all []tenancy.HostServiceMapping, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i := range all {
		at := path.Index(i).Child("to")
		if names[all[i].To] {
			errs = append(errs, field.Duplicate(at, all[i].To))
		}
		names[all[i].To] = true
		if strings.HasPrefix(all[i].To, v1.ReleasePrefix) {
			errs = append(errs, field.Forbidden(at, "names that begin with "+v1.ReleasePrefix+" are those of virtual clusters: choose another one"))
		}
	}
	return errs
}

// mappings judges what Services are shown inside. Each has the address of its source, and
// inside no two may have the same.
func mappings(all []tenancy.ServiceMapping, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	sources, names := map[string]bool{}, map[tenancy.ServiceName]bool{}
	for i := range all {
		mapping, at := &all[i], path.Index(i)
		source := mapping.From.Namespace + "/" + mapping.From.Name
		if other := mapping.From.VirtualCluster; other != nil {
			source += " " + other.Namespace + "/" + other.Name
		}
		switch {
		case sources[source]:
			errs = append(errs, field.Duplicate(at.Child("from"), source))
		case names[mapping.To]:
			errs = append(errs, field.Duplicate(at.Child("to"), mapping.To.Namespace+"/"+mapping.To.Name))
		case slices.Contains(kept(), mapping.To):
			errs = append(errs, field.Forbidden(at.Child("to"), "every virtual cluster has a Service of this name: choose another one"))
		}
		sources[source], names[mapping.To] = true, true
	}
	return errs
}

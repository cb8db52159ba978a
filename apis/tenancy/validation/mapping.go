// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// kept are the Services inside that Garret keeps, or the control plane does.
func kept() []tenancy.ServiceName {
	return []tenancy.ServiceName{{Namespace: "default", Name: "kubernetes"}, {Namespace: "kube-system", Name: "kube-dns"}, {Namespace: "kube-system", Name: "garret-metrics"}}
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

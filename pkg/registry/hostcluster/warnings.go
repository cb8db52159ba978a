// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/template"
)

// warnings tell what is allowed in the parts of a spec that differ from old,
// and keeps virtual clusters from being made.
func (s strategy) warnings(ctx context.Context, host, old *tenancy.HostCluster) []string {
	path := field.NewPath("spec")
	var warnings []string
	if !equality.Semantic.DeepEqual(host.Spec.DefaultTemplateRef, old.Spec.DefaultTemplateRef) {
		warnings = s.uselessTemplate(ctx, host.Spec.DefaultTemplateRef, path.Child("defaultTemplateRef"))
	}
	most := host.Spec.MaxVirtualClusters
	if !equality.Semantic.DeepEqual(most, old.Spec.MaxVirtualClusters) && most != nil && *most < old.Status.VirtualClusters {
		warnings = append(warnings, fmt.Sprintf("%s: there are %d virtual clusters, which stay: none can be created until there are fewer than %d",
			path.Child("maxVirtualClusters"), old.Status.VirtualClusters, *most))
	}
	return warnings
}

// uselessTemplate is about a default template that is missing or that needs
// more than a virtual cluster gives that names none.
func (s strategy) uselessTemplate(ctx context.Context, ref *tenancy.LocalTemplateReference, path *field.Path) []string {
	if ref == nil || ref.Name == "" {
		return nil
	}
	obj, err := s.templates.Get(ctx, ref.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return []string{fmt.Sprintf("%s: there is no VirtualClusterTemplate %s: until there is one, virtual clusters that name no template will be refused",
			path.Child("name"), ref.Name)}
	}
	found, ok := obj.(*tenancy.VirtualClusterTemplate)
	if err != nil || !ok {
		return nil // a warning is no reason to fail
	}
	return template.RefusesAll(found, &tenancy.TemplateReference{Name: ref.Name, Version: ref.Version}, path)
}

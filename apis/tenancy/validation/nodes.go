// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"maps"
	"slices"
	"strings"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// nodesFromHost judges what is shown of the host's nodes.
func nodesFromHost(nodes *tenancy.NodesFromHost, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if nodes.Enabled == nil || !*nodes.Enabled {
		for _, each := range []struct {
			name string
			set  bool
		}{{"selector", nodes.Selector != nil}, {"labels", len(nodes.Labels.Shown)+len(nodes.Labels.Added) > 0}, {"taints", nodes.Taints != ""}} {
			if each.set {
				errs = append(errs, field.Forbidden(path.Child(each.name), "is about nodes that are shown as they are: set "+path.Child("enabled").String()+" to true, or leave it out"))
			}
		}
	}
	if nodes.Selector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(nodes.Selector, metav1validation.LabelSelectorValidationOptions{}, path.Child("selector"))...)
	}
	labels := path.Child("labels")
	for i, key := range nodes.Labels.Shown {
		whole := strings.TrimSuffix(key, "*")
		if whole != key {
			whole += "x"
		}
		for _, problem := range utilvalidation.IsQualifiedName(whole) {
			errs = append(errs, field.Invalid(labels.Child("shown").Index(i), key, problem))
		}
	}
	errs = append(errs, metav1validation.ValidateLabels(nodes.Labels.Added, labels.Child("added"))...)
	errs = append(errs, ownKeys(nodes.Labels.Added, labels.Child("added"))...)
	for _, key := range slices.Sorted(maps.Keys(nodes.Labels.Added)) {
		if slices.Contains(v1.StandingNodeLabels(), key) {
			errs = append(errs, field.Invalid(labels.Child("added").Key(key), nodes.Labels.Added[key], "is that of the host's node, which kubelets and controllers go by"))
		}
	}
	return errs
}

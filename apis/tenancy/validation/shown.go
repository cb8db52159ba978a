// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// shownKinds judges which objects of the host are shown inside. Whose they are is for the
// rights of the writer to say.
func shownKinds(kinds []v1.KindFromHost, rules []v1.KindRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range kinds {
		kind, at := &kinds[i], path.Index(i)
		rule := kind.Rule()
		errs = append(errs, ruledKind(&rule, at)...)
		if seen.Has(rule.Definition()) {
			errs = append(errs, field.Duplicate(at.Child("resource"), rule.Definition()))
		}
		seen.Insert(rule.Definition())
		for j := range rules {
			if rules[j].Definition() == rule.Definition() && rules[j].APIVersion != rule.APIVersion {
				errs = append(errs, field.Invalid(at.Child("apiVersion"), rule.APIVersion, "a rule in spec.syncer.toHost.custom has "+rules[j].APIVersion+", and one version is served inside: use the same"))
			}
		}
		if len(kind.Mappings) == 0 {
			errs = append(errs, field.Required(at.Child("mappings"), "without mappings nothing is shown: name at least one object"))
		}
		errs = append(errs, customMappings(kind, at.Child("mappings"))...)
	}
	return errs
}

// customMappings judges the mappings of one kind. One name inside has one source.
func customMappings(kind *v1.KindFromHost, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	targets, whole := sets.New[string](), map[string]int{}
	for i := range kind.Mappings {
		mapping, at := &kind.Mappings[i], path.Index(i)
		target := mapping.To.Namespace + "/" + mapping.To.Name
		if mapping.From.Name == v1.AllNames {
			whole[mapping.To.Namespace]++
			target = mapping.To.Namespace + "/"
			if mapping.To.Name != "" {
				errs = append(errs, field.Forbidden(at.Child("to", "name"), "objects of a whole namespace keep their names: leave it out"))
			}
		} else {
			for _, message := range utilvalidation.IsDNS1123Subdomain(mapping.From.Name) {
				errs = append(errs, field.Invalid(at.Child("from", "name"), mapping.From.Name, message))
			}
			if mapping.To.Name == "" {
				target += mapping.From.Name
			}
		}
		if targets.Has(target) {
			errs = append(errs, field.Duplicate(at.Child("to"), target))
		}
		targets.Insert(target)
	}
	for i := range kind.Mappings {
		namespace := kind.Mappings[i].To.Namespace
		if whole[namespace] > 0 && sharesNamespace(kind.Mappings, i) {
			errs = append(errs, field.Invalid(path.Index(i).Child("to", "namespace"), namespace, fmt.Sprintf(
				"another mapping shows all objects of a namespace there, and names could be taken twice: show %s in a namespace of its own", kind.Resource)))
			break
		}
	}
	return errs
}

// sharesNamespace tells whether another mapping leads to the same namespace inside.
func sharesNamespace(all []v1.CustomMapping, i int) bool {
	for j := range all {
		if j != i && all[j].To.Namespace == all[i].To.Namespace {
			return true
		}
	}
	return false
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// closedGroups are those whose kinds no rule may be about: some decide who may do what on
// the host, and the others are Kubernetes' own, which have no CustomResourceDefinition.
func closedGroups() []string {
	return []string{
		"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
		"certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io",
		"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io", "networking.k8s.io", "node.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io",
		"scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io", v1.GroupName,
	}
}

// namedKinds are those that a field may name, besides kinds with a rule.
func namedKinds() []string {
	return []string{v1.ResourceConfigMaps, v1.ResourceClaims, v1.ResourcePods, v1.ResourceSecrets, v1.ResourceServices}
}

// fieldUses are what may become of a field.
func fieldUses() []v1.FieldUse {
	return []v1.FieldUse{v1.FieldCopied, v1.FieldName, v1.FieldReference, v1.FieldNamespace, v1.FieldLabels, v1.FieldSelector, v1.FieldOmitted, v1.FieldRefused}
}

// kindRules judges rules without their CustomResourceDefinitions, which the host has.
func kindRules(rules []v1.KindRule, builtIn []v1.BuiltInKind, shown []v1.KindFromHost, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	ruled, seen := sets.New[string](), sets.New[string]()
	for i := range rules {
		ruled.Insert(rules[i].Definition())
	}
	for i := range shown {
		rule := shown[i].Rule()
		ruled.Insert(rule.Definition())
	}
	for i := range builtIn {
		if name := builtIn[i].Rule.Definition(); builtIn[i].Enabled != nil && *builtIn[i].Enabled {
			if ruled.Has(name) && slices.ContainsFunc(rules, func(r v1.KindRule) bool { return r.Definition() == name }) {
				errs = append(errs, field.Invalid(path, name, "spec.syncer."+builtIn[i].Field+" has the kind go to the host by a rule of Garret's own: leave one of the two out"))
			}
			ruled.Insert(name)
		}
	}
	for i := range rules {
		rule, at := &rules[i], path.Index(i)
		errs = append(errs, ruledKind(rule, at)...)
		if seen.Has(rule.Definition()) {
			errs = append(errs, field.Duplicate(at.Child("resource"), rule.Definition()))
		}
		seen.Insert(rule.Definition())
		if len(rule.Fields) == 0 {
			errs = append(errs, field.Required(at.Child("fields"), "without fields nothing goes to the host: name at least one, such as {path: spec}"))
		}
		paths := sets.New[string]()
		for j := range rule.Fields {
			each := &rule.Fields[j]
			errs = append(errs, fieldRule(each, ruled, at.Child("fields").Index(j))...)
			if paths.Has(each.Path) {
				errs = append(errs, field.Duplicate(at.Child("fields").Index(j).Child("path"), each.Path))
			}
			paths.Insert(each.Path)
		}
		for j, text := range rule.Status {
			steps, err := v1.ParsePath(text)
			switch place := at.Child("status").Index(j); {
			case err != nil:
				errs = append(errs, field.Invalid(place, text, err.Error()))
			case steps[0].Name != "status" || slices.ContainsFunc(steps, func(s v1.Step) bool { return s.Each }):
				errs = append(errs, field.Invalid(place, text, "must lead into the status, and not into items of a list: write status, or a path such as status.conditions"))
			}
		}
	}
	return errs
}

// ruledKind judges which kind a rule is about.
func ruledKind(rule *v1.KindRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	gv, err := schema.ParseGroupVersion(rule.APIVersion)
	at := path.Child("apiVersion")
	switch {
	case err != nil:
		errs = append(errs, field.Invalid(at, rule.APIVersion, err.Error()))
	case !strings.Contains(gv.Group, "."):
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("the kinds of %q are Kubernetes' own: a rule is for a kind of a CustomResourceDefinition, whose group has a dot; fields of spec.syncer switch others", rule.APIVersion)))
	case slices.Contains(closedGroups(), gv.Group):
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("no rule may be about a kind of %s: it is Kubernetes' own, or decides who may do what on the host; leave the rule out", gv.Group)))
	default:
		for _, message := range append(utilvalidation.IsDNS1123Subdomain(gv.Group), utilvalidation.IsDNS1035Label(gv.Version)...) {
			errs = append(errs, field.Invalid(at, rule.APIVersion, message))
		}
	}
	for _, message := range utilvalidation.IsDNS1035Label(rule.Resource) {
		errs = append(errs, field.Invalid(path.Child("resource"), rule.Resource, message))
	}
	return errs
}

// names tells whether the field names another object.
func names(rule *v1.FieldRule) bool { return rule.As == v1.FieldName || rule.As == v1.FieldReference }

func fieldRule(rule *v1.FieldRule, ruled sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	steps, err := v1.ParsePath(rule.Path)
	if err != nil {
		errs = append(errs, field.Invalid(path.Child("path"), rule.Path, err.Error()))
	} else if slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, steps[0].Name) {
		errs = append(errs, field.Invalid(path.Child("path"), rule.Path, "must not lead into apiVersion, kind, metadata or status: Garret sees to these; name what flows back under status"))
	}
	switch {
	case rule.As != "" && !slices.Contains(fieldUses(), rule.As):
		errs = append(errs, field.NotSupported(path.Child("as"), rule.As, fieldUses()))
	case names(rule) && rule.Of == "":
		errs = append(errs, field.Required(path.Child("of"), "say which kind the name is of, such as secrets"))
	case names(rule) && !slices.Contains(namedKinds(), rule.Of) && !ruled.Has(rule.Of):
		errs = append(errs, field.Invalid(path.Child("of"), rule.Of, fmt.Sprintf("must be one of %s, or RESOURCE.GROUP of a kind that has a rule here", strings.Join(namedKinds(), ", "))))
	case !names(rule) && rule.Of != "":
		errs = append(errs, field.Invalid(path.Child("of"), rule.Of, "says which kind a name is of: leave it out, or set as to Name or Reference"))
	}
	for i, value := range rule.OneOf {
		if strings.Contains(value, "$(") {
			errs = append(errs, field.Invalid(path.Child("oneOf").Index(i), value, "must not contain $(, which has a meaning in arguments of containers"))
		}
	}
	if len(rule.OneOf) > 0 && rule.As != "" && rule.As != v1.FieldCopied {
		errs = append(errs, field.Invalid(path.Child("oneOf"), rule.OneOf, "is for fields that are copied: leave it out, or set as to Copy"))
	}
	return errs
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
)

type props = apiextensionsv1.JSONSchemaProps

func objectOf(properties map[string]props) props {
	return props{Type: "object", Properties: properties}
}

func listOf(item props) props {
	return props{Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}}
}

func mapOf(value props) props {
	return props{Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &value}}
}

// definition is that of widgets, in the versions v1 with a status and v0 without.
func definition(scope apiextensionsv1.ResourceScope) *apiextensionsv1.CustomResourceDefinition {
	text := props{Type: "string"}
	whole := objectOf(map[string]props{
		"spec": objectOf(map[string]props{
			"size": {Type: "integer"}, "secretName": text, "parts": listOf(objectOf(map[string]props{"name": text})),
			"selector": mapOf(text), "limits": mapOf(objectOf(map[string]props{"from": text})), "free": {Type: "object", XPreserveUnknownFields: ptr.To(true)},
		}),
		"status": objectOf(map[string]props{"phase": text}),
	})
	version := func(name string, served bool) apiextensionsv1.CustomResourceDefinitionVersion {
		return apiextensionsv1.CustomResourceDefinitionVersion{Name: name, Served: served, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &whole}}
	}
	current := version("v1", true)
	current.Subresources = &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}
	return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.org"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{Scope: scope, Versions: []apiextensionsv1.CustomResourceDefinitionVersion{current, version("v0", true), version("v2", false)}}}
}

// TestRulesSuitTheHost holds rules to the schema of their kind.
func TestRulesSuitTheHost(t *testing.T) {
	rule := func(version string, fields ...tenancy.FieldRule) tenancy.KindRule {
		return tenancy.KindRule{APIVersion: "example.org/" + version, Resource: "widgets", Fields: fields}
	}
	at := func(path string, as tenancy.FieldUse, oneOf ...string) tenancy.KindRule {
		return rule("v1", tenancy.FieldRule{Path: path, As: as, OneOf: oneOf})
	}
	reporting := func(version, path string) tenancy.KindRule {
		made := rule(version)
		made.Status = []string{path}
		return made
	}
	for name, test := range map[string]struct {
		rule  tenancy.KindRule
		scope apiextensionsv1.ResourceScope
		// path and told are parts of the refusal; none for what is accepted.
		path, told string
	}{
		"a field":                     {rule: at("spec.size", "")},
		"all":                         {rule: at("spec", "")},
		"items":                       {rule: at("spec.parts[].name", "Name")},
		"values of a map":             {rule: at("spec.limits.cpu.from", "Name")},
		"what the schema leaves open": {rule: at("spec.free.any.thing[]", "Name")},
		"labels":                      {rule: at("spec.selector", "Labels")},
		"status":                      {rule: reporting("v1", "status.phase")},
		"an unknown field":            {rule: at("spec.sise", ""), path: "fields[0].path", told: "no field sise"},
		"no list":                     {rule: at("spec.size[]", ""), path: "fields[0].path", told: "write it without []"},
		"a list without brackets":     {rule: at("spec.parts.name", ""), path: "fields[0].path", told: "no field name"},
		"a number as a name":          {rule: at("spec.size", "Name"), path: "fields[0].path", told: "type integer"},
		"a map that is no labels":     {rule: at("spec.limits", "Labels"), path: "fields[0].path", told: "no map of labels"},
		"one of some objects":         {rule: at("spec", "", "a"), path: "fields[0].path", told: "single value"},
		"an unknown status":           {rule: reporting("v1", "status.fase"), path: "status[0]", told: "no field fase"},
		"no status":                   {rule: reporting("v0", "status"), path: "status[0]", told: "no status"},
		"a version not served":        {rule: rule("v2"), path: "apiVersion", told: `"v1", "v0"`},
		"an unknown version":          {rule: rule("v3"), path: "apiVersion", told: `"v1", "v0"`},
		"objects of no namespace":     {rule: rule("v1"), scope: apiextensionsv1.ClusterScoped, path: "resource", told: "everybody's"},
		"a kind that is not there":    {rule: tenancy.KindRule{APIVersion: "example.org/v1", Resource: "gadgets"}, path: "resource", told: "installed there first"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.scope == "" {
				test.scope = apiextensionsv1.NamespaceScoped
			}
			asked := 0
			d := Definition(func(_ context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
				asked++
				if name != "widgets.example.org" {
					return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "customresourcedefinitions"}, name)
				}
				return definition(test.scope), nil
			})
			vc := existing()
			vc.Spec.Syncer.ToHost.Custom = []tenancy.KindRule{test.rule}
			err := d.suitRules(t.Context(), vc, &tenancy.VirtualClusterSpec{})
			switch {
			case test.path == "" && err != nil:
				t.Errorf("got %v, want it accepted", err)
			case test.path != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.syncer.toHost.custom[0]."+test.path) || !strings.Contains(err.Error(), test.told)):
				t.Errorf("got %v, want %s refused with %q", err, test.path, test.told)
			}
			asked = 0
			if err := d.suitRules(t.Context(), vc, &vc.Spec); err != nil || asked > 0 {
				t.Errorf("a rule that stays: got %v, and the host asked %d times", err, asked)
			}
		})
	}
}

// TestBuiltInKindsSuitTheHost wants the host to have the kind, under the field that switches it on.
func TestBuiltInKindsSuitTheHost(t *testing.T) {
	d := Definition(func(_ context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "customresourcedefinitions"}, name)
	})
	vc := existing()
	vc.Spec = specOf(routes(true))
	if err := d.suitRules(t.Context(), vc, &tenancy.VirtualClusterSpec{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.syncer.toHost.httpRoutes.enabled: Forbidden: the host does not serve httproutes") {
		t.Errorf("got %v, want the field refused", err)
	}
	if err := d.suitRules(t.Context(), vc, &vc.Spec); err != nil {
		t.Errorf("routes that stay: got %v", err)
	}
}

// TestBuiltInKindsSuitTheVersion takes a kind that the host serves in an older version that the rule is right
// for, and no other one.
func TestBuiltInKindsSuitTheVersion(t *testing.T) {
	on := true
	for version, suits := range map[string]bool{"v1": true, "v1alpha3": true, "v1alpha2": true, "v1alpha1": false} {
		d := Definition(func(context.Context, string) (*apiextensionsv1.CustomResourceDefinition, error) {
			return &apiextensionsv1.CustomResourceDefinition{Spec: apiextensionsv1.CustomResourceDefinitionSpec{Scope: apiextensionsv1.NamespaceScoped,
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v0", Served: true}, {Name: version, Served: true}}}}, nil
		})
		vc := existing()
		vc.Spec.Syncer.ToHost.TLSRoutes.Enabled = &on
		err := d.suitRules(t.Context(), vc, &tenancy.VirtualClusterSpec{})
		if suits && err != nil || !suits && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "in version v1 or v1alpha3 or v1alpha2")) {
			t.Errorf("%s: got %v, want it to suit: %t", version, err, suits)
		}
	}
}

// TestUnknownDefinitions keeps rules out while nobody can tell what the host has.
func TestUnknownDefinitions(t *testing.T) {
	d := Definition(func(context.Context, string) (*apiextensionsv1.CustomResourceDefinition, error) {
		return nil, errors.New("the host does not answer")
	})
	vc := existing()
	vc.Spec = specOf(ruled("spec"))
	if err := d.suitRules(t.Context(), vc, &tenancy.VirtualClusterSpec{}); !apierrors.IsInternalError(err) {
		t.Errorf("got %v, want an internal error", err)
	}
}

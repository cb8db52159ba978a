// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// TestKindRules says which rules are accepted, and what is said about the others.
func TestKindRules(t *testing.T) {
	rule := func(apiVersion, resource string, fields ...v1.FieldRule) v1.KindRule {
		return v1.KindRule{APIVersion: apiVersion, Resource: resource, Fields: fields}
	}
	size := v1.FieldRule{Path: "spec.size"}
	one := func(each v1.FieldRule) []v1.KindRule { return []v1.KindRule{rule("example.org/v1", "widgets", each)} }
	reporting := func(path string) []v1.KindRule {
		made := rule("example.org/v1", "widgets", size)
		made.Status = []string{path}
		return []v1.KindRule{made}
	}
	for name, test := range map[string]struct {
		rules []v1.KindRule
		// path is where the one error is, told a part of it; none for what is accepted.
		path, told string
	}{
		"none":                    {},
		"a field":                 {rules: one(size)},
		"a name":                  {rules: one(v1.FieldRule{Path: "spec.parts[].secretName", As: v1.FieldName, Of: "secrets"})},
		"a kind with a rule":      {rules: []v1.KindRule{rule("example.org/v1", "widgets", v1.FieldRule{Path: "spec.gadget", As: v1.FieldName, Of: "gadgets.example.org"}), rule("example.org/v1", "gadgets", size)}},
		"status":                  {rules: reporting("status.conditions")},
		"Kubernetes' own":         {rules: []v1.KindRule{rule("v1", "secrets", size)}, path: "[0].apiVersion", told: "Kubernetes' own"},
		"workloads":               {rules: []v1.KindRule{rule("apps/v1", "deployments", size)}, path: "[0].apiVersion", told: "Kubernetes' own"},
		"rights":                  {rules: []v1.KindRule{rule("rbac.authorization.k8s.io/v1", "roles", size)}, path: "[0].apiVersion", told: "who may do what"},
		"webhooks":                {rules: []v1.KindRule{rule("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", size)}, path: "[0].apiVersion", told: "who may do what"},
		"policies around the own": {rules: []v1.KindRule{rule("networking.k8s.io/v1", "networkpolicies", size)}, path: "[0].apiVersion", told: "Kubernetes' own"},
		"virtual clusters":        {rules: []v1.KindRule{rule("tenancy.garret.dev/v1", "virtualclusters", size)}, path: "[0].apiVersion", told: "no rule"},
		"no version":              {rules: []v1.KindRule{rule("example.org", "widgets", size)}, path: "[0].apiVersion", told: ""},
		"a subresource":           {rules: []v1.KindRule{rule("example.org/v1", "widgets/scale", size)}, path: "[0].resource", told: "DNS-1035"},
		"every resource":          {rules: []v1.KindRule{rule("example.org/v1", "*", size)}, path: "[0].resource", told: "DNS-1035"},
		"nothing":                 {rules: []v1.KindRule{rule("example.org/v1", "widgets")}, path: "[0].fields", told: "name at least one"},
		"twice":                   {rules: []v1.KindRule{rule("example.org/v1", "widgets", size), rule("example.org/v2", "widgets", size)}, path: "[1].resource", told: "Duplicate"},
		"a field twice":           {rules: []v1.KindRule{rule("example.org/v1", "widgets", size, size)}, path: "[0].fields[1].path", told: "Duplicate"},
		"metadata":                {rules: one(v1.FieldRule{Path: "metadata.ownerReferences"}), path: "[0].fields[0].path", told: "must not lead into"},
		"the status to the host":  {rules: one(v1.FieldRule{Path: "status"}), path: "[0].fields[0].path", told: "under status"},
		"no path":                 {rules: one(v1.FieldRule{Path: "spec..size"}), path: "[0].fields[0].path", told: "no name of a field"},
		"an expression":           {rules: one(v1.FieldRule{Path: "spec.$(POD_IP)"}), path: "[0].fields[0].path", told: "no name of a field"},
		"a value with a variable": {rules: one(v1.FieldRule{Path: "spec.mode", OneOf: []string{"$(POD_IP)"}}), path: "[0].fields[0].oneOf[0]", told: "$("},
		"an unknown use":          {rules: one(v1.FieldRule{Path: "spec.size", As: "Paste"}), path: "[0].fields[0].as", told: "Unsupported"},
		"a name of nothing":       {rules: one(v1.FieldRule{Path: "spec.name", As: v1.FieldName}), path: "[0].fields[0].of", told: "say which kind"},
		"a name of another kind":  {rules: one(v1.FieldRule{Path: "spec.name", As: v1.FieldName, Of: "gadgets.example.org"}), path: "[0].fields[0].of", told: "has a rule here"},
		"a kind of no name":       {rules: one(v1.FieldRule{Path: "spec.name", Of: "secrets"}), path: "[0].fields[0].of", told: "set as to Name"},
		"values of a name":        {rules: one(v1.FieldRule{Path: "spec.name", As: v1.FieldName, Of: "secrets", OneOf: []string{"a"}}), path: "[0].fields[0].oneOf", told: "set as to Copy"},
		"the spec as status":      {rules: reporting("spec.size"), path: "[0].status[0]", told: "into the status"},
		"items of a status":       {rules: reporting("status.conditions[].type"), path: "[0].status[0]", told: "items of a list"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := kindRules(test.rules, nil, nil, field.NewPath("custom"))
			switch {
			case test.path == "" && len(errs) > 0:
				t.Errorf("got %v, want it accepted", errs)
			case test.path != "" && (len(errs) != 1 || errs[0].Field != "custom"+test.path || !strings.Contains(errs[0].Error(), test.told)):
				t.Errorf("got %v, want one error at custom%s with %q", errs, test.path, test.told)
			}
		})
	}
}

// TestBuiltInRules wants each rule of Garret's own to be one that a spec could have, and none beside
// another rule of the kind.
func TestBuiltInRules(t *testing.T) {
	spec := &v1.SyncerSpec{}
	on := true
	to := &spec.ToHost
	for _, kind := range []*v1.KindSwitch{&to.BackendTLSPolicies, &to.Gateways, &to.GRPCRoutes, &to.HTTPRoutes, &to.TCPRoutes, &to.TLSRoutes, &to.UDPRoutes, &to.VolumeSnapshots} {
		kind.Enabled = &on
	}
	rules := spec.Rules()
	for i := range rules {
		// Contents belong to no namespace, so that a rule of a tenant's cannot name them.
		rules[i].Fields = slices.DeleteFunc(rules[i].Fields, func(f v1.FieldRule) bool { return f.Of == v1.OwnSnapshotContents })
	}
	if errs := kindRules(rules, nil, nil, nil); len(errs) > 0 || len(rules) != len(spec.BuiltIn()) {
		t.Errorf("got %v for %d rules, want none for all", errs, len(rules))
	}
	spec.ToHost.Custom = rules[:1]
	if errs := kindRules(spec.ToHost.Custom, spec.BuiltIn(), nil, field.NewPath("custom")); len(errs) != 1 || !strings.Contains(errs[0].Error(), "leave one of the two out") {
		t.Errorf("a kind with two rules: got %v", errs)
	}
	named := []v1.KindRule{{APIVersion: "example.org/v1", Resource: "widgets", Fields: []v1.FieldRule{{Path: "spec.gateway", As: v1.FieldReference, Of: "gateways.gateway.networking.k8s.io"}}}}
	if errs := kindRules(named, spec.BuiltIn(), nil, nil); len(errs) > 0 {
		t.Errorf("a rule that refers to a kind that is on: got %v", errs)
	}
	if errs := kindRules(named, (&v1.SyncerSpec{}).BuiltIn(), nil, nil); len(errs) != 1 {
		t.Errorf("a rule that refers to a kind that is off: got %v", errs)
	}
	shown := []v1.KindFromHost{{APIVersion: "gateway.networking.k8s.io/v1", Resource: "gateways"}}
	if errs := kindRules(named, nil, shown, nil); len(errs) > 0 {
		t.Errorf("a rule that refers to what is shown: got %v", errs)
	}
}

// TestShownKinds says which objects of the host may be shown inside.
func TestShownKinds(t *testing.T) {
	mapping := func(namespace, name, to, as string) v1.CustomMapping {
		return v1.CustomMapping{From: v1.CustomSource{Namespace: namespace, Name: name}, To: v1.CustomTarget{Namespace: to, Name: as}}
	}
	kind := func(apiVersion, resource string, mappings ...v1.CustomMapping) v1.KindFromHost {
		return v1.KindFromHost{APIVersion: apiVersion, Resource: resource, Mappings: mappings}
	}
	widgets := func(mappings ...v1.CustomMapping) []v1.KindFromHost {
		return []v1.KindFromHost{kind("example.org/v1", "widgets", mappings...)}
	}
	one := mapping("prod", "main", "shop", "")
	for name, test := range map[string]struct {
		kinds      []v1.KindFromHost
		rules      []v1.KindRule
		path, told string
	}{
		"none":                         {},
		"one":                          {kinds: widgets(one)},
		"all":                          {kinds: widgets(mapping("prod", "*", "shop", ""), mapping("prod", "*", "other", ""))},
		"of the namespace itself":      {kinds: widgets(mapping("", "main", "shop", "here"))},
		"two names for one":            {kinds: widgets(one, mapping("prod", "main", "shop", "other"))},
		"a rule of the version":        {kinds: widgets(one), rules: []v1.KindRule{{APIVersion: "example.org/v1", Resource: "widgets"}}},
		"a rule of another version":    {kinds: widgets(one), rules: []v1.KindRule{{APIVersion: "example.org/v2", Resource: "widgets"}}, path: "[0].apiVersion", told: "use the same"},
		"secrets":                      {kinds: []v1.KindFromHost{kind("v1", "secrets", one)}, path: "[0].apiVersion", told: "Kubernetes' own"},
		"rights":                       {kinds: []v1.KindFromHost{kind("rbac.authorization.k8s.io/v1", "roles", one)}, path: "[0].apiVersion", told: "who may do what"},
		"virtual clusters":             {kinds: []v1.KindFromHost{kind("tenancy.garret.dev/v1", "virtualclusters", one)}, path: "[0].apiVersion", told: "who may do what"},
		"nothing":                      {kinds: widgets(), path: "[0].mappings", told: "name at least one"},
		"a kind twice":                 {kinds: append(widgets(one), widgets(mapping("prod", "other", "shop", ""))...), path: "[1].resource", told: "Duplicate"},
		"a name twice":                 {kinds: widgets(one, mapping("test", "x", "shop", "main")), path: "[0].mappings[1].to", told: "Duplicate"},
		"a pattern":                    {kinds: widgets(mapping("prod", "ma*", "shop", "")), path: "[0].mappings[0].from.name", told: "RFC 1123"},
		"all under one name":           {kinds: widgets(mapping("prod", "*", "shop", "main")), path: "[0].mappings[0].to.name", told: "keep their names"},
		"all, where another one leads": {kinds: widgets(mapping("prod", "*", "shop", ""), one), path: "[0].mappings[0].to.namespace", told: "taken twice"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := shownKinds(test.kinds, test.rules, nil)
			switch {
			case test.path == "" && len(errs) > 0:
				t.Errorf("got %v, want it accepted", errs)
			case test.path != "" && (len(errs) != 1 || errs[0].Field != test.path || !strings.Contains(errs[0].Error(), test.told)):
				t.Errorf("got %v, want one error at %s with %q", errs, test.path, test.told)
			}
		})
	}
}

// TestRulesSurviveArguments has the syncer read what the controller writes.
func TestRulesSurviveArguments(t *testing.T) {
	rules := []v1.KindRule{{APIVersion: "example.org/v1", Resource: "widgets", Fields: []v1.FieldRule{{Path: "spec.mode", OneOf: []string{"a b", `"`, "ä=,"}}}, Status: []string{"status"}}}
	args, err := v1.RuleArgs(rules)
	if err != nil {
		t.Fatal(err)
	}
	read, err := v1.RulesByArgs(append([]string{"--v=2"}, args...))
	if err != nil || len(read) != 1 || read[0].CustomKind() != "widgets.v1.example.org" || len(read[0].Fields[0].OneOf) != 3 || read[0].Fields[0].OneOf[1] != `"` {
		t.Errorf("got %v and %v, want %v", read, err, rules)
	}
	kind, err := v1.ParseCustomKind(read[0].CustomKind())
	if err != nil || kind.GroupVersionResource() != rules[0].GroupVersionResource() {
		t.Errorf("got %v and %v", kind, err)
	}
	if _, err := v1.ParseCustomKind("widgets"); err == nil {
		t.Error("a kind without version and group is read")
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
)

func TestValidateFragments(t *testing.T) {
	for name, test := range map[string]struct {
		version tenancy.TemplateVersion
		want    []string
	}{
		"empty":            {tenancy.TemplateVersion{}, nil},
		"null":             {tenancy.TemplateVersion{Defaults: raw("null")}, nil},
		"good":             {tenancy.TemplateVersion{Defaults: raw(`{"kubernetes":{"version":"v1.36.3"}}`), Forced: raw(`{"helm":{"values":{"any":{"thing":1}}}}`)}, nil},
		"no object":        {tenancy.TemplateVersion{Defaults: raw(`[1]`)}, []string{"v[0].defaults: must be an object"}},
		"unknown field":    {tenancy.TemplateVersion{Forced: raw(`{"kubernetes":{"colour":"red"}}`)}, []string{"v[0].forced.kubernetes.colour: no field of the spec"}},
		"other case":       {tenancy.TemplateVersion{Forced: raw(`{"kubernetes":{"Version":"v1.36.3"}}`)}, []string{"v[0].forced.kubernetes.Version: no field"}},
		"twice":            {tenancy.TemplateVersion{Defaults: raw(`{"syncer":{},"syncer":{}}`)}, []string{`v[0].defaults: duplicate field "syncer"`}},
		"wrong type":       {tenancy.TemplateVersion{Defaults: raw(`{"kubernetes":{"version":1,"distro":"k8s"}}`)}, []string{"v[0].defaults.kubernetes.version: cannot be a number"}},
		"wrong quantity":   {tenancy.TemplateVersion{Defaults: raw(`{"controlPlane":{"storage":{"size":"much"}}}`)}, []string{"v[0].defaults.controlPlane.storage.size: quantities must match"}},
		"several wrong":    {tenancy.TemplateVersion{Defaults: raw(`{"access":{},"syncer":[]}`)}, []string{"v[0].defaults.access: cannot be a object", "v[0].defaults.syncer: cannot be a array"}},
		"template in it":   {tenancy.TemplateVersion{Defaults: raw(`{"templateRef":{"name":"other"}}`)}, []string{"v[0].defaults.templateRef: cannot stand in a template"}},
		"host in it":       {tenancy.TemplateVersion{Forced: raw(`{"hostClusterRef":{"name":"other"}}`)}, []string{"v[0].forced.hostClusterRef: cannot stand"}},
		"unknown name":     {tenancy.TemplateVersion{Defaults: raw(`{"kubernetes":{"version":"$(v)"}}`)}, []string{"v[0].defaults.kubernetes.version: there is no parameter v"}},
		"left out":         {tenancy.TemplateVersion{Forced: raw(`{"access":[],"controlPlane":{"datastore":null}}`)}, nil},
		"default left out": {tenancy.TemplateVersion{Forced: raw(`{"kubernetes":{"version":null}}`)}, []string{"v[0].forced.kubernetes.version: cannot be forced to be left out, since it defaults to"}},
		"large":            {tenancy.TemplateVersion{Defaults: raw(`{"helm":{"values":{"a":"` + strings.Repeat("x", maxFragment) + `"}}}`)}, []string{"v[0].defaults: Too long"}},
		"typed parameter": {tenancy.TemplateVersion{
			Parameters: []tenancy.TemplateParameter{parameter(tenancy.ParameterBoolean)},
			Defaults:   raw(`{"controlPlane":{"storage":{"persistent":"$(p)"}}}`),
		}, nil},
		"parameter of another type": {tenancy.TemplateVersion{
			Parameters: []tenancy.TemplateParameter{parameter(tenancy.ParameterInteger)},
			Defaults:   raw(`{"controlPlane":{"storage":{"persistent":"$(p)"}}}`),
		}, []string{"v[0].defaults.controlPlane.storage.persistent: cannot be a number"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, Validate([]tenancy.TemplateVersion{test.version}, field.NewPath("v")), test.want...)
		})
	}
}

func TestValidateParameters(t *testing.T) {
	named := func(name string) tenancy.TemplateParameter { return tenancy.TemplateParameter{Name: name} }
	for name, test := range map[string]struct {
		parameters []tenancy.TemplateParameter
		want       []string
	}{
		"good":              {[]tenancy.TemplateParameter{named("a"), named("B-2_c")}, nil},
		"bad name":          {[]tenancy.TemplateParameter{named("2a")}, []string{"v[0].parameters[0].name: begin with a letter"}},
		"range of a string": {[]tenancy.TemplateParameter{parameter(tenancy.ParameterString, between("1", "2"))}, []string{"v[0].parameters[0].minimum: only integers", "v[0].parameters[0].maximum: only integers"}},
		"range reversed":    {[]tenancy.TemplateParameter{parameter(tenancy.ParameterInteger, between("10", "9"))}, []string{"v[0].parameters[0].maximum: less than the minimum of 10"}},
		"range no quantity": {[]tenancy.TemplateParameter{parameter(tenancy.ParameterQuantity, between("1Gi", "x"))}, []string{"v[0].parameters[0].maximum: quantity such as"}},
		"pattern":           {[]tenancy.TemplateParameter{parameter(tenancy.ParameterString, pattern("[a"))}, []string{"v[0].parameters[0].pattern: missing closing ]"}},
		"pattern leaves":    {[]tenancy.TemplateParameter{parameter(tenancy.ParameterString, pattern("a)|(?:b"))}, []string{"v[0].parameters[0].pattern: unexpected )"}},
		"pattern of number": {[]tenancy.TemplateParameter{parameter(tenancy.ParameterInteger, pattern("1"))}, []string{"v[0].parameters[0].pattern: only strings"}},
		"option":            {[]tenancy.TemplateParameter{parameter(tenancy.ParameterInteger, options("1", "x"))}, []string{"v[0].parameters[0].options[1]: whole number"}},
		"option outside":    {[]tenancy.TemplateParameter{parameter(tenancy.ParameterInteger, options("1", "7"), between("1", "5"))}, []string{"v[0].parameters[0].options[1]: at most 5"}},
		"default outside":   {[]tenancy.TemplateParameter{parameter(tenancy.ParameterInteger, between("1", "5"), byDefault("6"))}, []string{"v[0].parameters[0].default: at most 5"}},
		"default no option": {[]tenancy.TemplateParameter{parameter(tenancy.ParameterString, options("a"), byDefault("b"))}, []string{"v[0].parameters[0].default: Unsupported"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, Validate([]tenancy.TemplateVersion{{Parameters: test.parameters}}, field.NewPath("v")), test.want...)
		})
	}
}

func TestExample(t *testing.T) {
	for _, pattern := range []string{"", "abc", "[a-z][a-z0-9-]{2,5}", "v1\\.(36|37)\\.[0-9]+", "a|b", "(?i)yes", ".+@.+", "[^a-z]x*", "\\d+(Gi|Mi)"} {
		got := example(pattern)
		if !regexp.MustCompile(`\A(?:` + pattern + `)\z`).MatchString(got) {
			t.Errorf("%s: got %q, which it does not match", pattern, got)
		}
	}
}

// TestSample tries a parameter without a default with a value that it allows.
func TestSample(t *testing.T) {
	for _, p := range []tenancy.TemplateParameter{
		parameter(tenancy.ParameterString), parameter(tenancy.ParameterInteger), parameter(tenancy.ParameterBoolean),
		parameter(tenancy.ParameterQuantity), parameter(tenancy.ParameterInteger, between("5", "9")),
		parameter(tenancy.ParameterString, options("x", "y")), parameter(tenancy.ParameterString, pattern("[x-z]{4}")),
		{Name: "p", Type: tenancy.ParameterInteger, Maximum: ptr.To("-2")},
	} {
		expect(t, check(&p, sample(&p), field.NewPath("sample")))
	}
}

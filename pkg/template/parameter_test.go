// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
)

// expect compares the errors with lines of the form "field: part of the message".
func expect(t *testing.T, got field.ErrorList, want ...string) {
	t.Helper()
	for i, err := range got {
		if i >= len(want) {
			t.Errorf("unexpected error: %v", err)
			continue
		}
		at, message, _ := strings.Cut(want[i], ": ")
		if err.Field != at || !strings.Contains(err.Error(), message) {
			t.Errorf("error %d: got %q, want field %s with %q", i, err, at, message)
		}
	}
	for _, missing := range want[min(len(got), len(want)):] {
		t.Errorf("no error, want %q", missing)
	}
}

func parameter(kind tenancy.TemplateParameterType, changes ...func(*tenancy.TemplateParameter)) tenancy.TemplateParameter {
	p := tenancy.TemplateParameter{Name: "p", Type: kind}
	for _, change := range changes {
		change(&p)
	}
	return p
}

func options(values ...string) func(*tenancy.TemplateParameter) {
	return func(p *tenancy.TemplateParameter) { p.Options = values }
}

func between(low, high string) func(*tenancy.TemplateParameter) {
	return func(p *tenancy.TemplateParameter) { p.Minimum, p.Maximum = ptr.To(low), ptr.To(high) }
}

func pattern(text string) func(*tenancy.TemplateParameter) {
	return func(p *tenancy.TemplateParameter) { p.Pattern = text }
}

func byDefault(text string) func(*tenancy.TemplateParameter) {
	return func(p *tenancy.TemplateParameter) { p.Default = &text }
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		parameter tenancy.TemplateParameter
		value     string
		want      []string
	}{
		"any text":            {parameter(tenancy.ParameterString), "a $(b) {}", nil},
		"no text":             {parameter(tenancy.ParameterString), "", nil},
		"long text":           {parameter(tenancy.ParameterString), strings.Repeat("x", maxValue+1), []string{"v: Too long"}},
		"matching":            {parameter(tenancy.ParameterString, pattern("[a-z]+")), "abc", nil},
		"matching in part":    {parameter(tenancy.ParameterString, pattern("[a-z]+")), "abc1", []string{"v: must match [a-z]+"}},
		"one of alternatives": {parameter(tenancy.ParameterString, pattern("a|b")), "ac", []string{"v: must match a|b"}},
		"line after":          {parameter(tenancy.ParameterString, pattern("a")), "a\nb", []string{"v: must match a"}},
		"integer":             {parameter(tenancy.ParameterInteger), "-3", nil},
		"no integer":          {parameter(tenancy.ParameterInteger), "3.5", []string{"v: whole number"}},
		"integer low":         {parameter(tenancy.ParameterInteger, between("1", "10")), "0", []string{"v: at least 1"}},
		"integer high":        {parameter(tenancy.ParameterInteger, between("1", "10")), "11", []string{"v: at most 10"}},
		"integer between":     {parameter(tenancy.ParameterInteger, between("1", "10")), "9", nil},
		"boolean":             {parameter(tenancy.ParameterBoolean), "false", nil},
		"no boolean":          {parameter(tenancy.ParameterBoolean), "False", []string{"v: true or false"}},
		"quantity":            {parameter(tenancy.ParameterQuantity, between("1Gi", "2Gi")), "1536Mi", nil},
		"quantity high":       {parameter(tenancy.ParameterQuantity, between("1Gi", "2Gi")), "2049Mi", []string{"v: at most 2Gi"}},
		"no quantity":         {parameter(tenancy.ParameterQuantity), "much", []string{"v: quantity such as"}},
		"option":              {parameter(tenancy.ParameterString, options("a", "b")), "b", nil},
		"no option":           {parameter(tenancy.ParameterString, options("a", "b")), "c", []string{`v: supported values: "a", "b"`}},
		"option in other way": {parameter(tenancy.ParameterQuantity, options("1Gi")), "1024Mi", nil},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, check(&test.parameter, test.value, field.NewPath("v")), test.want...)
		})
	}
}

func TestBind(t *testing.T) {
	parameters := []tenancy.TemplateParameter{
		{Name: "tier", Description: "how much it may cost", Options: []string{"small", "large"}},
		{Name: "nodes", Type: tenancy.ParameterInteger, Default: ptr.To("3")},
	}
	given := func(pairs ...string) []tenancy.TemplateParameterValue {
		var values []tenancy.TemplateParameterValue
		for i := 0; i < len(pairs); i += 2 {
			values = append(values, tenancy.TemplateParameterValue{Name: pairs[i], Value: pairs[i+1]})
		}
		return values
	}
	for name, test := range map[string]struct {
		given []tenancy.TemplateParameterValue
		want  []string
	}{
		"all":     {given("nodes", "5", "tier", "large"), nil},
		"default": {given("tier", "small"), nil},
		"missing": {nil, []string{`p: template "t" needs a value for the parameter tier: how much it may cost`}},
		"unknown": {given("tier", "small", "colour", "red"), []string{`p[1].name: template "t" has no such parameter, but tier, nodes`}},
		"twice":   {given("tier", "small", "tier", "large"), []string{"p[1].name: Duplicate"}},
		"wrong":   {given("nodes", "many", "tier", "none"), []string{"p[0].value: whole number", "p[1].value: Unsupported"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := bind(parameters, test.given, "t", field.NewPath("p"))
			expect(t, errs, test.want...)
		})
	}
	_, errs := bind(nil, given("a", "b"), "t", field.NewPath("p"))
	expect(t, errs, `p[0].name: template "t" has no parameters`)
}

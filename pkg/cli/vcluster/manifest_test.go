// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func TestManifestFromTemplate(t *testing.T) {
	const file = "apiVersion: tenancy.garret.dev/v1\nkind: VirtualCluster\nspec: {templateRef: {name: small, version: 1.0.0, parameters: [{name: size, value: 1Gi}]}}\n"
	values := func(pairs ...string) []tenancyv1.TemplateParameterValue {
		var out []tenancyv1.TemplateParameterValue
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, tenancyv1.TemplateParameterValue{Name: pairs[i], Value: pairs[i+1]})
		}
		return out
	}
	for name, test := range map[string]struct {
		options manifestOptions
		file    string
		want    *tenancyv1.TemplateReference
		err     string
	}{
		"no template": {},
		"template":    {options: manifestOptions{template: "large"}, want: &tenancyv1.TemplateReference{Name: "large"}},
		"all": {
			options: manifestOptions{template: "large", templateVersion: "2.0.0", parameters: []string{"size=8Gi", "args=a=b", "size=9Gi", "note="}},
			want:    &tenancyv1.TemplateReference{Name: "large", Version: "2.0.0", Parameters: values("size", "9Gi", "args", "a=b", "note", "")},
		},
		"the file's":            {file: file, want: &tenancyv1.TemplateReference{Name: "small", Version: "1.0.0", Parameters: values("size", "1Gi")}},
		"over the file's":       {options: manifestOptions{parameters: []string{"size=2Gi", "a=b"}}, file: file, want: &tenancyv1.TemplateReference{Name: "small", Version: "1.0.0", Parameters: values("size", "2Gi", "a", "b")}},
		"instead of the file's": {options: manifestOptions{template: "large"}, file: file, want: &tenancyv1.TemplateReference{Name: "large"}},
		"version of none":       {options: manifestOptions{templateVersion: "1.0.0"}, err: "none is named"},
		"parameter of none":     {options: manifestOptions{parameters: []string{"a=b"}}, err: "none is named"},
		"no value":              {options: manifestOptions{template: "large", parameters: []string{"size"}}, err: "--parameter size"},
		"no name":               {options: manifestOptions{template: "large", parameters: []string{"=1"}}, err: "--parameter =1"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.file != "" {
				test.options.file = "-"
			}
			got, err := test.options.build(strings.NewReader(test.file), "demo", "team-a")
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Spec.TemplateRef); diff != "" {
				t.Errorf("templateRef (-want +got):\n%s", diff)
			}
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
)

func raw(json string) *runtime.RawExtension {
	if json == "" {
		return nil
	}
	return &runtime.RawExtension{Raw: []byte(json)}
}

func templateOf(versions ...tenancy.TemplateVersion) *tenancy.VirtualClusterTemplate {
	template := &tenancy.VirtualClusterTemplate{Spec: tenancy.VirtualClusterTemplateSpec{Versions: versions}}
	template.Name, template.UID, template.Generation = "small", "u-1", 4
	return template
}

func TestResolve(t *testing.T) {
	sized := tenancy.TemplateVersion{
		Version: "1.2.0",
		Parameters: []tenancy.TemplateParameter{
			{Name: "size", Type: tenancy.ParameterQuantity, Default: ptr.To("2048Mi")},
			{Name: "arg"},
		},
		Defaults: raw(`{"controlPlane":{"storage":{"size":"$(size)"}},"helm":{"values":{"logs":{},"off":null}}}`),
		Forced:   raw(`{"kubernetes":{"extraArgs":["--debug=$(arg)"]},"syncer":{"extraArgs":[]}}`),
	}
	got, errs := Resolve(templateOf(sized), &tenancy.TemplateReference{
		Name: "small", Parameters: []tenancy.TemplateParameterValue{{Name: "arg", Value: "true"}},
	}, field.NewPath("ref"))
	expect(t, errs)
	want := &tenancy.TemplateStatus{
		Name: "small", Version: "1.2.0", UID: "u-1", Generation: 4,
		Parameters: []tenancy.TemplateParameterValue{{Name: "size", Value: "2048Mi"}, {Name: "arg", Value: "true"}},
		Defaults:   raw(`{"controlPlane":{"storage":{"size":"2Gi"}},"helm":{"values":{"logs":{},"off":null}}}`),
		Forced:     raw(`{"kubernetes":{"extraArgs":["--debug=true"]},"syncer":{"extraArgs":[]}}`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResolveVersion(t *testing.T) {
	version := func(name string) tenancy.TemplateVersion { return tenancy.TemplateVersion{Version: name} }
	all := templateOf(version("1.9.0"), version("1.10.0"), version("2.0.0-rc.1"), version("0.1.0"))
	for name, test := range map[string]struct {
		template    *tenancy.VirtualClusterTemplate
		asked, want string
		errs        []string
	}{
		"highest":         {all, "", "1.10.0", nil},
		"named":           {all, "1.9.0", "1.9.0", nil},
		"pre-release":     {all, "2.0.0-rc.1", "2.0.0-rc.1", nil},
		"unknown":         {all, "3.0.0", "", []string{`ref.version: template "small" has no such version, but 1.9.0, 1.10.0, 2.0.0-rc.1, 0.1.0`}},
		"no release":      {templateOf(version("1.0.0-a")), "", "", []string{"ref.version: has pre-releases only: name one of 1.0.0-a"}},
		"not well formed": {templateOf(tenancy.TemplateVersion{Version: "1.0.0", Defaults: raw(`{"nonsense":1}`)}), "", "", []string{"ref: version 1.0.0 of the template cannot be applied with these parameters: defaults.nonsense"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := Resolve(test.template, &tenancy.TemplateReference{Version: test.asked}, field.NewPath("ref"))
			expect(t, errs, test.errs...)
			if got != nil && got.Version != test.want {
				t.Errorf("got version %s, want %s", got.Version, test.want)
			}
		})
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// specOf reads a spec from JSON, as a client sends it.
func specOf(t *testing.T, text string) *tenancy.VirtualClusterSpec {
	t.Helper()
	if text == "" {
		return nil
	}
	external, spec := &v1.VirtualClusterSpec{}, &tenancy.VirtualClusterSpec{}
	if err := json.Unmarshal([]byte(text), external); err != nil {
		t.Fatal(err)
	}
	if err := v1.Convert_v1_VirtualClusterSpec_To_tenancy_VirtualClusterSpec(external, spec, nil); err != nil {
		t.Fatal(err)
	}
	return spec
}

func resolution(defaults, forced string) *tenancy.TemplateStatus {
	return &tenancy.TemplateStatus{Name: "small", Version: "1.0.0", Defaults: raw(defaults), Forced: raw(forced)}
}

// completed is what Apply should make: our own defaults with these fields on top.
func completed(t *testing.T, text string) fragment {
	t.Helper()
	own := &v1.VirtualClusterSpec{}
	if err := json.Unmarshal([]byte(text), own); err != nil {
		t.Fatal(err)
	}
	v1.DefaultSpec(own)
	f, err := encode(own)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestApplyOnCreate(t *testing.T) {
	for name, test := range map[string]struct {
		spec             string
		defaults, forced string
		want             string
		errs             []string
	}{
		"no template":       {spec: `{"syncer":{"extraArgs":["--v=2"]}}`, want: `{"syncer":{"extraArgs":["--v=2"]}}`},
		"default":           {spec: `{}`, defaults: `{"kubernetes":{"version":"v1.36.3"}}`, want: `{"kubernetes":{"version":"v1.36.3"}}`},
		"explicit wins":     {spec: `{"kubernetes":{"version":"v1.37.2"}}`, defaults: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"}}`, want: `{"kubernetes":{"version":"v1.37.2","distro":"k8s"}}`},
		"false is explicit": {spec: `{"controlPlane":{"storage":{"persistent":false}}}`, defaults: `{"controlPlane":{"storage":{"persistent":true}}}`, want: `{"controlPlane":{"storage":{"persistent":false}}}`},
		"lists whole":       {spec: `{"syncer":{"extraArgs":["--v=2"]}}`, defaults: `{"syncer":{"extraArgs":["--v=3","--a=b"]}}`, want: `{"syncer":{"extraArgs":["--v=2"]}}`},
		"maps deep": {
			spec:     `{"controlPlane":{"resources":{"limits":{"cpu":"2"}}},"helm":{"values":{"a":{"x":1},"off":null}}}`,
			defaults: `{"controlPlane":{"resources":{"limits":{"cpu":"1","memory":"1Gi"}}},"helm":{"values":{"a":{"x":0,"y":2},"off":{"z":1}}}}`,
			want:     `{"controlPlane":{"resources":{"limits":{"cpu":"2","memory":"1Gi"}}},"helm":{"values":{"a":{"x":1,"y":2},"off":null}}}`,
		},
		"forced":              {spec: `{}`, defaults: `{"kubernetes":{"distro":"k3s"}}`, forced: `{"kubernetes":{"distro":"k8s"}}`, want: `{"kubernetes":{"distro":"k8s"}}`},
		"forced and the same": {spec: `{"controlPlane":{"storage":{"size":"5120Mi"}}}`, forced: `{"controlPlane":{"storage":{"size":"5Gi"}}}`, want: `{}`},
		"against the forced": {
			spec: `{"kubernetes":{"version":"v1.37.2"},"access":[{"users":["a"],"clusterRole":"view"}]}`, forced: `{"access":[],"kubernetes":{"version":"v1.36.3"}}`,
			errs: []string{`spec.access: Forbidden: template "small" forces it to be left out`, `spec.kubernetes.version: Forbidden: template "small" forces "v1.36.3"`},
		},
		"when it sleeps": {
			spec: `{"sleep":{"afterInactivity":"60m"}}`, defaults: `{"sleep":{"afterInactivity":"30m0s","schedule":"0 20 * * *"}}`, forced: `{"sleep":{"deleteAfterInactivity":"720h0m0s"}}`,
			want: `{"sleep":{"afterInactivity":"1h0m0s","schedule":"0 20 * * *","deleteAfterInactivity":"720h0m0s"}}`,
		},
		"against when it sleeps": {
			spec: `{"sleep":{"afterInactivity":"60m","schedule":""}}`, forced: `{"sleep":{"afterInactivity":"30m0s"}}`,
			errs: []string{`spec.sleep.afterInactivity: Forbidden: template "small" forces "30m0s"`},
		},
		"forced to be left out": {spec: `{}`, forced: `{"access":[],"controlPlane":{"datastore":null}}`, want: `{}`},
		"beside the forced":     {spec: `{"helm":{"values":{"a":1}}}`, forced: `{"helm":{"values":{"b":2}}}`, want: `{"helm":{"values":{"a":1,"b":2}}}`},
		"in place of an object": {spec: `{"helm":{"values":{"b":7}}}`, forced: `{"helm":{"values":{"b":{"c":2}}}}`, errs: []string{`spec.helm.values.b.c: template "small" forces 2`}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := specOf(t, test.spec)
			write := Write{}
			if test.defaults+test.forced != "" {
				write.Now = resolution(test.defaults, test.forced)
			}
			expect(t, Apply(spec, write, field.NewPath("spec")), test.errs...)
			if test.errs == nil {
				compareSpec(t, spec, completed(t, test.want))
			}
		})
	}
}

func compareSpec(t *testing.T, spec *tenancy.VirtualClusterSpec, want fragment) {
	t.Helper()
	got, err := ofSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestApplyOnUpdate(t *testing.T) {
	first := resolution(`{"kubernetes":{"version":"v1.36.3"},"syncer":{"extraArgs":["--v=2"]}}`, `{"kubernetes":{"distro":"k8s"}}`)
	chosen := resolution(`{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"controlPlane":{"storage":{"size":"1Gi"}}}`, ``)
	const made = `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"syncer":{"extraArgs":["--v=2"]}}`
	for name, test := range map[string]struct {
		old, spec   string
		before, now *tenancy.TemplateStatus
		want        string
		errs        []string
	}{
		"small manifest": {
			old:  `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"controlPlane":{"storage":{"size":"9Gi","storageClassName":"fast"},"datastore":{"endpointSecretRef":{"name":"db"}}}}`,
			spec: `{}`,
			want: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"controlPlane":{"storage":{"size":"9Gi","storageClassName":"fast"},"datastore":{"endpointSecretRef":{"name":"db"}}}}`,
		},
		"what can be changed is not kept": {old: `{"syncer":{"extraArgs":["--v=2"]}}`, spec: `{}`, want: `{}`},
		"small manifest with template":    {old: made, spec: `{}`, before: first, now: first, want: made},
		"small manifest with own values": {
			old:  `{"kubernetes":{"version":"v1.37.2","distro":"k3s"},"controlPlane":{"storage":{"size":"9Gi"}}}`,
			spec: `{}`, before: chosen, now: chosen,
			want: `{"kubernetes":{"version":"v1.37.2","distro":"k3s"},"controlPlane":{"storage":{"size":"9Gi"}}}`,
		},
		"small manifest, applied anew": {
			old:  `{"kubernetes":{"version":"v1.36.3","distro":"k3s"},"controlPlane":{"storage":{"size":"9Gi"}}}`,
			spec: `{}`, before: chosen, now: resolution(`{"kubernetes":{"version":"v1.37.2","distro":"k8s"},"controlPlane":{"storage":{"size":"2Gi"}}}`, ``),
			want: `{"kubernetes":{"version":"v1.37.2","distro":"k3s"},"controlPlane":{"storage":{"size":"9Gi"}}}`,
		},
		"changed beside the template": {old: made, spec: `{"syncer":{"extraArgs":["--v=9"]}}`, before: first, now: first, want: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"syncer":{"extraArgs":["--v=9"]}}`},
		"against the forced":          {old: made, spec: `{"kubernetes":{"distro":"k3s"}}`, before: first, now: first, errs: []string{`spec.kubernetes.distro: Forbidden: template "small" forces "k8s"`}},
		"default follows, own stays": {
			old: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"syncer":{"extraArgs":["--v=9"]}}`, spec: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"syncer":{"extraArgs":["--v=9"]}}`,
			before: first, now: resolution(`{"kubernetes":{"version":"v1.37.2"},"syncer":{"extraArgs":["--v=3"]}}`, `{"kubernetes":{"distro":"k8s"}}`),
			want: `{"kubernetes":{"version":"v1.37.2","distro":"k8s"},"syncer":{"extraArgs":["--v=9"]}}`,
		},
		"no default any more": {old: made, spec: made, before: first, now: resolution(``, ``), want: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"}}`},
		"newly forced":        {old: made, spec: made, before: first, now: resolution(``, `{"syncer":{"extraArgs":["--v=0"]}}`), want: `{"kubernetes":{"version":"v1.36.3","distro":"k8s"},"syncer":{"extraArgs":["--v=0"]}}`},
		"newly forced over own": {
			old: `{"syncer":{"extraArgs":["--v=9"]}}`, spec: `{"syncer":{"extraArgs":["--v=9"]}}`,
			before: nil, now: resolution(``, `{"syncer":{"extraArgs":[]}}`), want: `{}`,
		},
		"newly forced and set in the same write": {
			old: `{}`, spec: `{"syncer":{"extraArgs":["--v=9"]}}`, before: nil, now: resolution(``, `{"syncer":{"extraArgs":[]}}`),
			errs: []string{`spec.syncer.extraArgs: forces it to be left out`},
		},
		"template taken away": {old: made, spec: made, before: first, now: nil, want: made},
	} {
		t.Run(name, func(t *testing.T) {
			old := specOf(t, test.old)
			expect(t, Apply(old, Write{}, field.NewPath("spec")))
			spec := specOf(t, test.spec)
			expect(t, Apply(spec, Write{Old: old, Before: test.before, Now: test.now}, field.NewPath("spec")), test.errs...)
			if test.errs == nil {
				compareSpec(t, spec, completed(t, test.want))
			}
		})
	}
}

// TestApplyKeepsReferences and the old spec, which belongs to the caller.
func TestApplyKeepsReferences(t *testing.T) {
	spec := &tenancy.VirtualClusterSpec{
		TemplateRef: &tenancy.TemplateReference{Name: "small", Sync: true}, HostClusterRef: tenancy.HostClusterReference{Name: "local"},
	}
	old := specOf(t, `{"controlPlane":{"resources":{"limits":{"cpu":"1"}}}}`)
	kept := old.DeepCopy()
	expect(t, Apply(spec, Write{Old: old, Now: resolution(`{"controlPlane":{"resources":{"limits":{"cpu":"2"}}}}`, "")}, field.NewPath("spec")))
	if spec.TemplateRef == nil || !spec.TemplateRef.Sync || spec.HostClusterRef.Name != "local" {
		t.Errorf("got %+v, want the references as they were", spec)
	}
	if diff := cmp.Diff(kept, old); diff != "" {
		t.Errorf("the old spec was changed:\n%s", diff)
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/exit"
)

func TestUpgradeWaitsForTheNewVersion(t *testing.T) {
	running := func(generation int64, version string) tenancyv1.VirtualClusterStatus {
		status := ready()
		status.ObservedGeneration, status.KubernetesVersion = generation, version
		return status
	}
	for name, test := range map[string]struct {
		then []tenancyv1.VirtualClusterStatus
		args []string
		code int
		want string
	}{
		"it comes to run":     {[]tenancyv1.VirtualClusterStatus{running(1, "v1.36.3"), running(2, "v1.36.3"), running(2, "v1.37.2")}, nil, exit.OK, "ready with v1.37.2"},
		"the old one goes on": {[]tenancyv1.VirtualClusterStatus{running(2, "v1.36.3")}, []string{"--timeout", "2s"}, exit.NotReady, "is to run v1.37.2"},
		"nobody waits":        {nil, []string{"--wait=false"}, exit.OK, "garret describe demo"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newHostAPI(t)
			file := api.writeKubeconfig()
			if _, _, err := api.run("", file, "create", "demo", "--kubernetes-version", "v1.36.3", "--wait=false", "--connect=false"); err != nil {
				t.Fatal(err)
			}
			api.script = test.then
			_, told, err := api.run("", file, append([]string{"upgrade", "demo", "--kubernetes-version", "v1.37.2"}, test.args...)...)
			if exit.Of(t.Context(), err) != test.code || !strings.Contains(told, test.want) {
				t.Errorf("ended with %v and told\n%swant exit code %d and %q", err, told, test.code, test.want)
			}
			if got := api.object.Spec.Kubernetes.Version; got != "v1.37.2" {
				t.Errorf("the spec asks for %s, want v1.37.2", got)
			}
		})
	}
}

func TestTemplateIsDescribed(t *testing.T) {
	least, size := "512Mi", "1Gi"
	template := &tenancyv1.VirtualClusterTemplate{Spec: tenancyv1.VirtualClusterTemplateSpec{Versions: []tenancyv1.TemplateVersion{{
		Version: "1.2.0",
		Parameters: []tenancyv1.TemplateParameter{
			{Name: "memory", Type: tenancyv1.ParameterQuantity, Default: &size, Minimum: &least},
			{Name: "team", Options: []string{"a", "b"}},
		},
		Forced: &runtime.RawExtension{Raw: []byte(`{"isolation":{"podSecurity":"restricted"}}`)},
	}}}}
	var out bytes.Buffer
	if err := printTemplate(&out, template); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Version 1.2.0:", "at least 512Mi", "team       string    <required>  a, b", "Forced:", "podSecurity: restricted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
)

func TestReferences(t *testing.T) {
	templated := func(ref tenancy.TemplateReference) change {
		return func(vc *tenancy.VirtualCluster) { vc.Spec.TemplateRef = &ref }
	}
	keeps := func(name string, format tenancy.KubeconfigFormat) change {
		return func(vc *tenancy.VirtualCluster) {
			vc.Spec.KubeconfigSecret = &tenancy.KubeconfigSecret{Name: name, Format: format, ClusterRole: "view"}
		}
	}
	for name, test := range map[string]struct {
		change change
		want   []string
	}{
		"template":        {templated(tenancy.TemplateReference{Name: "small", Version: "1.0.0", Sync: true}), nil},
		"none":            {templated(tenancy.TemplateReference{}), nil},
		"version of none": {templated(tenancy.TemplateReference{Version: "1.0.0"}), []string{"spec.templateRef.name: name it"}},
		"sync with none":  {templated(tenancy.TemplateReference{Sync: true}), []string{"spec.templateRef.name: name it"}},
		"no version":      {templated(tenancy.TemplateReference{Name: "small", Version: "latest"}), []string{"spec.templateRef.version: semantic version"}},
		"other host":      {func(vc *tenancy.VirtualCluster) { vc.Spec.HostClusterRef.Name = "far" }, []string{`spec.hostClusterRef.name: supported values: "local"`}},
		"access": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Access = []tenancy.AccessRule{{Groups: []string{"dev"}, ClusterRole: "view"}}
		}, nil},
		"for Cluster API":              {keeps("web-kubeconfig", "ClusterAPI"), nil},
		"for Cluster API, a bad name":  {keeps("web", "ClusterAPI"), []string{"spec.kubeconfigSecret.name: Cluster API reads the Secret NAME-kubeconfig"}},
		"for Cluster API, of nothing":  {keeps("-kubeconfig", "ClusterAPI"), []string{"spec.kubeconfigSecret.name: Cluster API reads"}},
		"for Cluster API, a long name": {keeps(strings.Repeat("a", 64)+"-kubeconfig", "ClusterAPI"), []string{"spec.kubeconfigSecret.name: Cluster API reads"}},
		"for Flux":                     {keeps("web", "Flux"), nil},
		"access of nobody":             {func(vc *tenancy.VirtualCluster) { vc.Spec.Access = []tenancy.AccessRule{{ClusterRole: "view"}} }, []string{"spec.access[0]: name users, groups or both"}},
		"access of an empty one": {func(vc *tenancy.VirtualCluster) {
			vc.Spec.Access = []tenancy.AccessRule{{Users: []string{"a", ""}, ClusterRole: "view"}}
		}, []string{"spec.access[0].users[1]: stands for nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, (&Validator{}).Create(valid(test.change)), test.want...)
		})
	}
}

func TestTemplateVersions(t *testing.T) {
	for version, want := range map[string]string{
		"1.0.0": "", "0.1.0-beta.1": "", "10.20.30": "", "": "",
		"v1.0.0": "semantic version", "1.0": "semantic version", " 1.0.0": "semantic version", "01.0.0": "semantic version",
		"1.0.0+build": "must have no build metadata: use 1.0.0", "latest": "semantic version",
	} {
		template := &tenancy.VirtualClusterTemplate{
			ObjectMeta: metav1.ObjectMeta{Name: "small", ResourceVersion: "1"},
			Spec:       tenancy.VirtualClusterTemplateSpec{Versions: []tenancy.TemplateVersion{{Version: version}}},
		}
		var errs []string
		if want != "" {
			errs = append(errs, "spec.versions[0].version: "+want)
		}
		expect(t, TemplateCreate(template), errs...)
		expect(t, TemplateUpdate(template, template), errs...)
	}
}

func TestHostClusters(t *testing.T) {
	host := func(name, version string) *tenancy.HostCluster {
		return &tenancy.HostCluster{
			ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "1"},
			Spec:       tenancy.HostClusterSpec{DefaultTemplateRef: &tenancy.LocalTemplateReference{Name: "small", Version: version}},
		}
	}
	expect(t, HostClusterCreate(host("local", "1.0.0")))
	expect(t, HostClusterCreate(host("local", "")))
	expect(t, HostClusterCreate(host("far", "")), "metadata.name: the only one is local, which exists by itself")
	expect(t, HostClusterUpdate(host("local", "one"), host("local", "")), "spec.defaultTemplateRef.version: semantic version")
	bounded := host("local", "")
	bounded.Spec.Sleep = tenancy.HostSleep{MaxAfterInactivity: hours(1), MinDeleteAfterInactivity: hours(0)}
	expect(t, HostClusterCreate(bounded), "spec.sleep.minDeleteAfterInactivity: must be at least 1h0m0s, such as 168h")
	status := host("local", "")
	status.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "Yes", Reason: "R", LastTransitionTime: metav1.Now()}}
	expect(t, HostClusterStatusUpdate(status, host("local", "")), "status.conditions[0].status: Unsupported")
}

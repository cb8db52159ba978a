// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// found compares errors with lines of the form "field: part of the message".
func found(t *testing.T, got field.ErrorList, want ...string) {
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

func cluster(change func(*v1.VirtualCluster)) runtime.Object {
	vc := &v1.VirtualCluster{Spec: v1.VirtualClusterSpec{HostClusterRef: v1.HostClusterReference{Name: v1.LocalHostCluster}}}
	v1.DefaultSpec(&vc.Spec)
	if change != nil {
		change(vc)
	}
	return vc
}

func template(versions ...v1.TemplateVersion) runtime.Object {
	return &v1.VirtualClusterTemplate{Spec: v1.VirtualClusterTemplateSpec{Versions: versions}}
}

func numbered[T any](count int, make func(int) T) []T {
	var out []T
	for i := range count {
		out = append(out, make(i))
	}
	return out
}

// TestDeclaredRules tries the rules that stand beside the fields of the types.
func TestDeclaredRules(t *testing.T) {
	scheme := runtime.NewScheme()
	Install(scheme)
	kept := func(name, format, role string) runtime.Object {
		return cluster(func(vc *v1.VirtualCluster) {
			vc.Spec.KubeconfigSecret = &v1.KubeconfigSecret{Name: name, Format: v1.KubeconfigFormat(format), ClusterRole: role}
		})
	}
	rule := func(rule v1.AccessRule) runtime.Object {
		return cluster(func(vc *v1.VirtualCluster) { vc.Spec.Access = []v1.AccessRule{rule} })
	}
	for name, test := range map[string]struct {
		object runtime.Object
		want   []string
	}{
		"virtual cluster": {cluster(nil), nil},
		"names of mapped objects": {cluster(func(vc *v1.VirtualCluster) {
			vc.Spec.Syncer.FromHost.Secrets.Mappings = []v1.ObjectMapping{{From: v1.HostObjectName{Name: "a/b"}, To: v1.InsideObjectName{Namespace: "a.b", Name: "a=b"}}}
		}), []string{"spec.syncer.fromHost.secrets.mappings[0].from.name", "spec.syncer.fromHost.secrets.mappings[0].to.namespace", "spec.syncer.fromHost.secrets.mappings[0].to.name"}},
		"distro":          {cluster(func(vc *v1.VirtualCluster) { vc.Spec.Kubernetes.Distro = "k0s" }), []string{`spec.kubernetes.distro: supported values: "k3s", "k8s"`}},
		"retention":       {cluster(func(vc *v1.VirtualCluster) { vc.Spec.ControlPlane.Storage.WhenDeleted = "Keep" }), []string{`spec.controlPlane.storage.whenDeleted: supported values: "Delete", "Retain"`}},
		"phase":           {cluster(func(vc *v1.VirtualCluster) { vc.Status.Phase = "Fine" }), []string{"status.phase: Unsupported value"}},
		"generation":      {cluster(func(vc *v1.VirtualCluster) { vc.Status.ObservedGeneration = -1 }), []string{"status.observedGeneration: greater than or equal to 0"}},
		"template's name": {cluster(func(vc *v1.VirtualCluster) { vc.Spec.TemplateRef = &v1.TemplateReference{Name: "A_b"} }), []string{"spec.templateRef.name: lower case"}},
		"no template":     {cluster(func(vc *v1.VirtualCluster) { vc.Spec.TemplateRef = &v1.TemplateReference{} }), nil},
		"parameter twice": {cluster(func(vc *v1.VirtualCluster) {
			vc.Spec.TemplateRef = &v1.TemplateReference{Name: "a", Parameters: []v1.TemplateParameterValue{{Name: "p"}, {Name: "p"}}}
		}), []string{"spec.templateRef.parameters[1]: Duplicate"}},
		"many arguments": {cluster(func(vc *v1.VirtualCluster) {
			vc.Spec.Syncer.ExtraArgs = numbered(101, func(i int) string { return fmt.Sprintf("--v=%d", i) })
		}), []string{"spec.syncer.extraArgs: at most 100"}},
		"long argument":     {cluster(func(vc *v1.VirtualCluster) { vc.Spec.Kubernetes.ExtraArgs = []string{strings.Repeat("x", 4097)} }), []string{"spec.kubernetes.extraArgs[0]: Too long"}},
		"access":            {rule(v1.AccessRule{Users: []string{"alice", "bob"}, ClusterRole: "system:aggregate-to-view"}), nil},
		"no role":           {rule(v1.AccessRule{Users: []string{"alice"}}), []string{"spec.access[0].clusterRole: Required"}},
		"no path segment":   {rule(v1.AccessRule{Users: []string{"alice"}, ClusterRole: "a/b"}), []string{"spec.access[0].clusterRole: Invalid"}},
		"user twice":        {rule(v1.AccessRule{Users: []string{"a", "b", "a"}, ClusterRole: "view"}), []string{"spec.access[0].users[2]: Duplicate"}},
		"kubeconfig":        {kept("argo.cd", "ArgoCD", "view"), nil},
		"no Secret":         {kept("", "Flux", "view"), []string{"spec.kubeconfigSecret.name: Required"}},
		"no name of one":    {kept("Argo/CD", "Flux", "view"), []string{"spec.kubeconfigSecret.name: Invalid"}},
		"another format":    {kept("argo", "Helm", "view"), []string{"spec.kubeconfigSecret.format: Unsupported"}},
		"rights of none":    {kept("argo", "Flux", ""), []string{"spec.kubeconfigSecret.clusterRole: Required"}},
		"rights of a path":  {kept("argo", "Flux", "a/b"), []string{"spec.kubeconfigSecret.clusterRole: Invalid"}},
		"long group":        {rule(v1.AccessRule{Groups: []string{strings.Repeat("g", 513)}, ClusterRole: "view"}), []string{"spec.access[0].groups[0]: Too long"}},
		"template":          {template(v1.TemplateVersion{Version: "1.0.0"}), nil},
		"no versions":       {template(), []string{"spec.versions: Required"}},
		"no version":        {template(v1.TemplateVersion{}), []string{"spec.versions[0].version: Required"}},
		"version twice":     {template(v1.TemplateVersion{Version: "1.0.0"}, v1.TemplateVersion{Version: "1.0.0"}), []string{"spec.versions[1]: Duplicate"}},
		"many versions":     {template(numbered(65, func(i int) v1.TemplateVersion { return v1.TemplateVersion{Version: fmt.Sprintf("1.%d.0", i)} })...), []string{"spec.versions: at most 64"}},
		"no parameter":      {template(v1.TemplateVersion{Version: "1.0.0", Parameters: []v1.TemplateParameter{{}}}), []string{"spec.versions[0].parameters[0].name: Required"}},
		"type of parameter": {template(v1.TemplateVersion{Version: "1.0.0", Parameters: []v1.TemplateParameter{{Name: "a", Type: "float"}}}), []string{`spec.versions[0].parameters[0].type: supported values: "boolean", "integer", "quantity", "string"`}},
		"option twice":      {template(v1.TemplateVersion{Version: "1.0.0", Parameters: []v1.TemplateParameter{{Name: "a", Options: []string{"x", "x"}}}}), []string{"spec.versions[0].parameters[0].options[1]: Duplicate"}},
		"host cluster":      {&v1.HostCluster{Spec: v1.HostClusterSpec{MaxVirtualClusters: ptr.To[int32](0)}}, nil},
		"limit":             {&v1.HostCluster{Spec: v1.HostClusterSpec{MaxVirtualClusters: ptr.To[int32](-1)}}, []string{"spec.maxVirtualClusters: greater than or equal to 0"}},
		"default template":  {&v1.HostCluster{Spec: v1.HostClusterSpec{DefaultTemplateRef: &v1.LocalTemplateReference{}}}, []string{"spec.defaultTemplateRef.name: Required"}},
		"count":             {&v1.HostCluster{Status: v1.HostClusterStatus{VirtualClusters: -1}}, []string{"status.virtualClusters: greater than or equal to 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			found(t, scheme.Validate(t.Context(), nil, test.object), test.want...)
		})
	}
}

// TestDeclaredRulesOnUpdate: what does not change is not judged, and the host cluster stays.
func TestDeclaredRulesOnUpdate(t *testing.T) {
	scheme := runtime.NewScheme()
	Install(scheme)
	strange := func(vc *v1.VirtualCluster) { vc.Spec.Kubernetes.Distro = "k0s" }
	found(t, scheme.ValidateUpdate(t.Context(), nil, cluster(strange), cluster(strange)))
	moved := cluster(func(vc *v1.VirtualCluster) { vc.Spec.HostClusterRef.Name = "far" })
	found(t, scheme.ValidateUpdate(t.Context(), nil, moved, cluster(nil)), "spec.hostClusterRef.name: immutable")
	found(t, scheme.ValidateUpdate(t.Context(), nil, cluster(strange), cluster(nil), "status"), "spec.kubernetes.distro: Unsupported")
}

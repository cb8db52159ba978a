// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
)

func TestPodRules(t *testing.T) {
	images := func(places ...string) tenancy.PodRules {
		var rules tenancy.PodRules
		for _, place := range places {
			rules.Images = append(rules.Images, tenancy.ImageRule{From: place, To: "mirror.example.org"})
		}
		return rules
	}
	tolerations := func(all ...corev1.Toleration) tenancy.PodRules { return tenancy.PodRules{Tolerations: all} }
	for name, test := range map[string]struct {
		rules tenancy.PodRules
		want  []string
	}{
		"nothing": {tenancy.PodRules{}, nil},
		"all": {tenancy.PodRules{
			Images:           []tenancy.ImageRule{{From: "docker.io", To: "mirror.example.org:5000/hub"}, {From: "localhost/a/b", To: "registry:5000"}},
			NodeSelector:     map[string]string{"pool": "gold", "example.org/disk": ""},
			Tolerations:      []corev1.Toleration{{Operator: corev1.TolerationOpExists}, {Key: "a", Value: "b", Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](5)}},
			RuntimeClassName: "gvisor", PriorityClasses: []tenancy.PriorityClassRule{{Name: "system-node-critical", Host: "tenants"}},
			Labels: map[string]string{"example.org/account": "4711"}, Annotations: map[string]string{"example.org/account": "any $(TEXT)"},
		}, nil},
		"no images": {images("", "nginx", "library/nginx", "docker.io/", "docker.io/library:1", "index.docker.io", "docker.io/Upper", "a.b//c"), []string{
			"images[0].from: must begin with a registry", "images[1].from: must begin with a registry", "images[2].from: must begin with a registry",
			"images[3].from: in whole parts", "images[4].from: in whole parts", "images[5].from: in whole parts", "images[6].from: in whole parts", "images[7].from: in whole parts"}},
		"nowhere":     {tenancy.PodRules{Images: []tenancy.ImageRule{{From: "docker.io"}}}, []string{"images[0].to: must begin with a registry"}},
		"no selector": {tenancy.PodRules{NodeSelector: map[string]string{"a b": "c"}}, []string{"nodeSelector: name part"}},
		"no toleration": {tolerations(corev1.Toleration{Key: "a b", Operator: "Exists"}, corev1.Toleration{}, corev1.Toleration{Operator: "Exists", Value: "x"},
			corev1.Toleration{Key: "a", Operator: "Lt"}, corev1.Toleration{Key: "a", Effect: "Never"}, corev1.Toleration{Key: "a", TolerationSeconds: ptr.To[int64](5)}, corev1.Toleration{Key: "a", Value: "b c"}), []string{
			"tolerations[0].key: name part", "tolerations[1].operator: must be Exists", "tolerations[2].value: must be empty", "tolerations[3].operator: supported values",
			"tolerations[4].effect: supported values", "tolerations[5].effect: must be NoExecute", "tolerations[6].value: a valid label"}},
		"no classes": {tenancy.PodRules{RuntimeClassName: "A", PriorityClasses: []tenancy.PriorityClassRule{{Name: "B", Host: "system-cluster-critical"}, {Name: "c"}}}, []string{
			"runtimeClassName: RFC 1123", "priorityClasses[0].name: RFC 1123", "priorityClasses[0].host: must not begin with system-", "priorityClasses[1].host: RFC 1123"}},
		"another's marker": {tenancy.PodRules{Labels: map[string]string{"garret.dev/cluster": "a"}, Annotations: map[string]string{"tenant.garret.dev/x": "a"}}, []string{
			"labels[garret.dev/cluster]: must not be in the domain garret.dev", "annotations[tenant.garret.dev/x]: must not be in the domain garret.dev"}},
		"no metadata": {tenancy.PodRules{Labels: map[string]string{"a": "b c"}, Annotations: map[string]string{"a b": ""}}, []string{"labels: a valid label", "annotations: name part"}},
		"too much":    {tenancy.PodRules{Annotations: map[string]string{"a": strings.Repeat("$", maxPodRules/6+1)}}, []string{": may not be more than"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(prefix string) []string {
				var want []string
				for _, each := range test.want {
					want = append(want, strings.Replace(prefix+"."+each, ".:", ":", 1))
				}
				return want
			}
			expect(t, hostIsolation(&tenancy.HostIsolation{Pods: test.rules}, field.NewPath("spec", "isolation")), at("spec.isolation.pods")...)
			vc := valid(func(vc *tenancy.VirtualCluster) { vc.Spec.Syncer.Pods = test.rules })
			expect(t, (&Validator{}).Create(vc), at("spec.syncer.pods")...)
		})
	}
	allowed := tenancy.AllowedPodRules{Labels: []string{"team", "example.org/*"}, Annotations: []string{"garret.dev/x"}, PriorityClasses: []string{"A", "a"}}
	expect(t, hostIsolation(&tenancy.HostIsolation{AllowedPodRules: allowed}, field.NewPath("spec", "isolation")), "spec.isolation.allowedPodRules.labels[0]: with its domain",
		"spec.isolation.allowedPodRules.annotations[0]: must not be in the domain", "spec.isolation.allowedPodRules.priorityClasses[0]: RFC 1123")
	expect(t, (&Validator{}).Create(valid(syncerArg("--pod-rules={}"))), "spec.syncer.extraArgs[0]: ")
}

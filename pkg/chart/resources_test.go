// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// inWords is cpu and memory of requests, a bar, and those of limits.
func inWords(r corev1.ResourceRequirements) string {
	word := func(list corev1.ResourceList, name corev1.ResourceName) string {
		if quantity, set := list[name]; set {
			return quantity.String()
		}
		return "-"
	}
	return fmt.Sprintf("%s %s | %s %s", word(r.Requests, "cpu"), word(r.Requests, "memory"), word(r.Limits, "cpu"), word(r.Limits, "memory"))
}

// TestEveryContainerIsLimited gives nothing, or a part, and wants the rest to be there and
// no request above its limit.
func TestEveryContainerIsLimited(t *testing.T) {
	give := func(requests, limits corev1.ResourceList) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: requests, Limits: limits}
	}
	memory := func(amount string) corev1.ResourceList {
		return corev1.ResourceList{"memory": amounts("1", amount)["memory"]}
	}
	for what, test := range map[string]struct {
		given corev1.ResourceRequirements
		want  string
	}{
		"nothing":              {give(nil, nil), "20m 256Mi | 2 2Gi"},
		"a small request":      {give(memory("64Mi"), nil), "20m 64Mi | 2 2Gi"},
		"a large request":      {give(memory("8Gi"), nil), "20m 8Gi | 2 8Gi"},
		"a limit":              {give(nil, memory("128Mi")), "20m - | 2 128Mi"},
		"both":                 {give(memory("1Gi"), memory("4Gi")), "20m 1Gi | 2 4Gi"},
		"all":                  {give(amounts("1", "1Gi"), amounts("4", "4Gi")), "1 1Gi | 4 4Gi"},
		"something else alone": {give(corev1.ResourceList{"ephemeral-storage": amounts("1", "1Gi")["memory"]}, nil), "20m 256Mi | 2 2Gi"},
	} {
		if got := inWords(ControlPlaneResources(test.given)); got != test.want {
			t.Errorf("%s: got %s, want %s", what, got, test.want)
		}
	}
	for tenant, want := range map[string]string{
		``: "5m 48Mi | 1 512Mi",
		`{"syncer":{"resources":{"requests":{"memory":"1Gi"}}}}`: "5m 1Gi | 1 1Gi",
		`{"syncer":{"resources":{"limits":{"cpu":"4"}}}}`:        "- 48Mi | 4 512Mi",
	} {
		got, err := TenantSyncerResources([]byte(tenant))
		if err != nil || inWords(got) != want {
			t.Errorf("%s: got %s, %v; want %s", tenant, inWords(got), err, want)
		}
	}
}

// TestRenderedLimits wants both containers to have limits, and a runtime that heeds them,
// whatever the tenant's values say.
func TestRenderedLimits(t *testing.T) {
	values := testValues()
	values.ControlPlane.Resources = ControlPlaneResources(corev1.ResourceRequirements{})
	for what, tenant := range map[string]map[string]any{
		"nothing":            nil,
		"requests of memory": {"syncer": map[string]any{"resources": map[string]any{"requests": map[string]any{"memory": "1Gi"}}}},
	} {
		got := render(t, values, tenant)
		for _, name := range []string{"k3s", "syncer"} {
			container := got.container(t, name)
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Limits.Cpu().IsZero() {
				t.Errorf("%s: %s has the limits %v", what, name, container.Resources.Limits)
			}
			environment := map[string]corev1.EnvVar{}
			for _, variable := range container.Env {
				environment[variable.Name] = variable
			}
			source := environment["MEMORY_LIMIT_MIB"].ValueFrom
			if source == nil || source.ResourceFieldRef == nil || source.ResourceFieldRef.Resource != "limits.memory" || source.ResourceFieldRef.Divisor.String() != "1Mi" ||
				environment["GOMEMLIMIT"].Value != "$(MEMORY_LIMIT_MIB)000000" {
				t.Errorf("%s: the runtime of %s does not know its limit: %v", what, name, container.Env)
			}
			if got := environment["GODEBUG"].Value; got != "adaptivestackstart=0,memprofilerate=0" {
				t.Errorf("%s: the runtime of %s has the settings %q, want those that spare memory", what, name, got)
			}
		}
	}
}

// TestRenderedDatabaseBound wants the bound where there is an embedded database, and an
// emptyDir that has one, too.
func TestRenderedDatabaseBound(t *testing.T) {
	bound := func(o objects) string {
		for _, variable := range o.container(t, "k3s").Env {
			if variable.Name == "GARRET_DATABASE_BYTES" {
				return variable.Value
			}
		}
		return ""
	}
	values := testValues()
	values.ControlPlane.Storage.DatabaseBytes = "2147483648"
	if got := bound(render(t, values, nil)); got != "2147483648" {
		t.Errorf("bound is %q, want 2147483648", got)
	}
	values.ControlPlane.Storage.Persistent, values.ControlPlane.Storage.Size = false, "3Gi"
	got := render(t, values, nil)
	for _, volume := range got.statefulSet.Spec.Template.Spec.Volumes {
		if volume.Name == "data" && (volume.EmptyDir == nil || volume.EmptyDir.SizeLimit == nil || volume.EmptyDir.SizeLimit.String() != "3Gi") {
			t.Errorf("data: %+v, want an emptyDir of 3Gi at most", volume)
		}
	}
	values.ControlPlane.Datastore = Datastore{SecretName: "db", SecretKeys: []string{"endpoint"}}
	if got := bound(render(t, values, nil)); got != "" {
		t.Errorf("an external datastore is bounded to %q", got)
	}
}

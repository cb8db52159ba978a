// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return values
}

func TestTenantValuesAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"none":          `{}`,
		"placement":     `pod: {nodeSelector: {disk: ssd}, tolerations: [{key: tenants, operator: Exists, effect: NoSchedule}]}`,
		"affinity":      `pod: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}}}`,
		"spread":        `pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}]}`,
		"labels":        `{labels: {cost.example.com/centre: "42"}, annotations: {example.com/contact: "a@example.com"}}`,
		"resources":     `syncer: {resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}}`,
		"probes":        `probes: {controlPlane: {failureThreshold: 20}}`,
		"isolation":     `networkPolicy: {enabled: true}`,
		"audit":         `audit: {enabled: true}`,
		"number of cpu": `syncer: {resources: {limits: {cpu: 1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			values := parse(t, text)
			if err := ValidateTenantValues(values); err != nil {
				t.Fatalf("got %v, want none", err)
			}
			render(t, testValues(), values)
		})
	}
}

// Each row is an attempt to get more out of a VirtualCluster than its creator has.
func TestTenantValuesRefused(t *testing.T) {
	tests := []struct {
		name, text, wantPath string
	}{
		{"another image", `controlPlane: {image: evil}`, "spec.helm.values.controlPlane"},
		{"another syncer image", `syncer: {image: evil}`, "spec.helm.values.syncer.image"},
		{"the syncer's arguments", `syncer: {extraArgs: ["--cluster-id=other"]}`, "spec.helm.values.syncer.extraArgs"},
		{"another identity", `cluster: {id: "9999999999"}`, "spec.helm.values.cluster"},
		{"bodies in the audit log", `audit: {enabled: true, level: RequestResponse}`, "spec.helm.values.audit.level"},
		{"another trust anchor", `host: {clientCA: x}`, "spec.helm.values.host"},
		{"another address", `service: {clusterIP: 10.96.0.1}`, "spec.helm.values.service"},
		{"a wider role", `rbac: {extraRules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`, "spec.helm.values.rbac"},
		{"the rules of the role", `rbac: {rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]}`, "spec.helm.values.rbac"},
		{"no rules at all", `rbac: null`, "spec.helm.values.rbac"},
		{"a service account", `pod: {serviceAccountName: admin}`, "spec.helm.values.pod.serviceAccountName"},
		{"a security context", `pod: {securityContext: {runAsUser: 0}}`, "spec.helm.values.pod.securityContext"},
		{"a host path", `pod: {volumes: [{name: x, hostPath: {path: /}}]}`, "spec.helm.values.pod.volumes"},
		{"the host's network", `pod: {hostNetwork: true}`, "spec.helm.values.pod.hostNetwork"},
		{"priority over the host", `pod: {priorityClassName: system-node-critical}`, "spec.helm.values.pod.priorityClassName"},
		{"labels of the pod", `pod: {labels: {app: payments}}`, "spec.helm.values.pod.labels"},
		{"annotations of the pod", `pod: {annotations: {k8s.v1.cni.cncf.io/networks: x}}`, "spec.helm.values.pod.annotations"},
		{"a label without a domain", `labels: {app: payments}`, "spec.helm.values.labels.app"},
		{"Garret's own label", `labels: {garret.dev/cluster: "0123456789"}`, "spec.helm.values.labels.garret.dev/cluster"},
		{"Garret's own label below", `labels: {tenancy.garret.dev/virtual-cluster: other}`, "spec.helm.values.labels"},
		{"Helm's annotation", `annotations: {meta.helm.sh/release-name: other}`, "spec.helm.values.annotations"},
		{"Kubernetes' annotation", `annotations: {container.apparmor.security.beta.kubernetes.io/k3s: unconfined}`, "spec.helm.values.annotations"},
		{"a label that would break the manifest", `labels: {"example.com/a": "x\nspec: {}"}`, "spec.helm.values.labels.example.com/a"},
		{"a device claim", `syncer: {resources: {claims: [{name: gpu}]}}`, "spec.helm.values.syncer.resources.claims"},
		{"a device", `syncer: {resources: {limits: {example.com/gpu: 1}}}`, "spec.helm.values.syncer.resources.limits"},
		{"a negative quantity", `syncer: {resources: {limits: {cpu: "-1"}}}`, "spec.helm.values.syncer.resources.limits.cpu"},
		{"more than the limit", `syncer: {resources: {requests: {cpu: "2"}, limits: {cpu: "1"}}}`, "spec.helm.values.syncer.resources.requests[cpu]"},
		{"nothing over defaults", `pod: null`, "spec.helm.values.pod"},
		{"nothing within", `pod: {nodeSelector: null}`, "spec.helm.values.pod.nodeSelector"},
		{"a wrong type", `networkPolicy: {enabled: "yes"}`, "spec.helm.values.networkPolicy.enabled"},
		{"Helm's own globals", `global: {x: y}`, "spec.helm.values.global"},
		{"an unknown field of a toleration", `pod: {tolerations: [{key: a, operater: Exists}]}`, "spec.helm.values"},
		{"a toleration that means nothing", `pod: {tolerations: [{operator: Equal}]}`, "spec.helm.values.pod.tolerations[0].operator"},
		{"an unknown field of an affinity", `pod: {affinity: {nodeAffinty: {}}}`, "spec.helm.values"},
		{"an affinity of a wrong type", `pod: {affinity: {nodeAffinity: []}}`, "spec.helm.values"},
		{"a probe that never ends", `probes: {syncer: {failureThreshold: 100000}}`, "spec.helm.values.probes.syncer.failureThreshold"},
		{"a command", `probes: {syncer: {exec: {command: [sh]}}}`, "spec.helm.values.probes.syncer.exec"},
		{"too much", `annotations: {"example.com/a": "` + strings.Repeat("x", maxTenantBytes) + `"}`, "spec.helm.values"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := ValidateTenantValues(parse(t, test.text))
			if err == nil {
				t.Fatalf("got no error, want one at %s", test.wantPath)
			}
			if !strings.Contains(err.Error(), test.wantPath) {
				t.Errorf("got %v, want it to name %s", err, test.wantPath)
			}
			if _, err := Merge(testValues(), parse(t, test.text)); err == nil {
				t.Errorf("Merge took the values")
			}
		})
	}
}

// A value is never evaluated: what looks like a template arrives as text.
func TestTenantValuesAreNotTemplates(t *testing.T) {
	got := render(t, testValues(), parse(t, `annotations: {example.com/a: '{{ .Values.host.clientCA }}: "x"'}`))
	if annotation := got.statefulSet.Annotations["example.com/a"]; annotation != `{{ .Values.host.clientCA }}: "x"` {
		t.Errorf("got %q", annotation)
	}
	if _, below := got.statefulSet.Spec.Template.Annotations["example.com/a"]; below {
		t.Errorf("the annotation reached the pod")
	}
}

// What tenant.schema.json lists, values.schema.json must allow in the same way.
func TestSchemasAgree(t *testing.T) {
	type schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var tenant, whole schema
	data, err := files.ReadFile(folder + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range []struct {
		data []byte
		into *schema
	}{{tenantSchema, &tenant}, {data, &whole}} {
		if err := json.Unmarshal(pair.data, pair.into); err != nil {
			t.Fatal(err)
		}
	}
	within := func(s schema, name, property string) any {
		var below schema
		if err := json.Unmarshal(s.Properties[name], &below); err != nil {
			t.Fatal(err)
		}
		return string(below.Properties[property])
	}
	for name := range tenant.Properties {
		got, want := any(string(whole.Properties[name])), any(string(tenant.Properties[name]))
		if name == "syncer" {
			got, want = within(whole, name, "resources"), within(tenant, name, "resources")
		}
		var a, b any
		if json.Unmarshal([]byte(got.(string)), &a) != nil || json.Unmarshal([]byte(want.(string)), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: the two schemas differ", name)
		}
	}
}

func TestMergeChangesNeither(t *testing.T) {
	base := map[string]any{"a": map[string]any{"x": 1}}
	over := map[string]any{"a": map[string]any{"y": 2}}
	got := mergeMaps(base, over)
	if !reflect.DeepEqual(got, map[string]any{"a": map[string]any{"x": 1, "y": 2}}) {
		t.Errorf("got %v", got)
	}
	if len(base["a"].(map[string]any)) != 1 || len(over["a"].(map[string]any)) != 1 {
		t.Errorf("an argument was changed: %v %v", base, over)
	}
}

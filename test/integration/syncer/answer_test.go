// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/framework"
)

// labelMutated is the tenant's label that a policy of the host acts on.
const labelMutated = "mutated"

// mutated is a kind of which a policy of the host changes a field.
type mutated struct {
	resource, kind, object string
	// policy is the patch that the policy makes, path leads to the field.
	policy string
	path   []string
	// answered is what the host has then, put what it has when the syncer writes it again.
	answered, put any
	// other is a patch for another field inside, shows its path and value on the host.
	other      string
	otherPath  []string
	otherValue any
	// another is a patch inside for the field itself, anotherValue what the host has then.
	another      string
	anotherValue any
	// drift is a patch on the host.
	drift string
}

func mutatedKinds() []mutated {
	return []mutated{
		{
			resource: "configmaps", kind: "ConfigMap", object: `{"data":{"key":"one"}}`,
			policy: `[JSONPatch{op: "add", path: "/data/added", value: "by the host"}]`, path: []string{"data"},
			answered: fields{"key": "one", "added": "by the host"}, put: fields{"key": "one"},
			other: `{"binaryData":{"more":"YQ=="}}`, otherPath: []string{"binaryData", "more"}, otherValue: "YQ==",
			another: `{"data":{"key":"two"}}`, anotherValue: fields{"key": "two"},
			drift: `{"data":{"added":"by somebody"}}`,
		},
		{
			resource: "services", kind: "Service", object: `{"spec":{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"selector":{"app":"web"},"ports":[{"port":80}]}}`,
			policy: `[JSONPatch{op: "add", path: "/spec/loadBalancerSourceRanges", value: ["10.0.0.0/8"]}]`, path: []string{"spec", "loadBalancerSourceRanges"},
			answered: []any{"10.0.0.0/8"}, put: nil,
			other: `{"spec":{"sessionAffinity":"ClientIP"}}`, otherPath: []string{"spec", "sessionAffinity"}, otherValue: "ClientIP",
			another: `{"spec":{"loadBalancerSourceRanges":["192.0.2.0/24"]}}`, anotherValue: []any{"192.0.2.0/24"},
			drift: `{"spec":{"loadBalancerSourceRanges":["0.0.0.0/0"]}}`,
		},
	}
}

// TestWhatTheHostsAdmissionChangedStays has a policy of the host change objects, and
// wants the syncer to leave it at that until something else is asked for, or somebody
// changes what the policy made of it. The policy is gone by then, so that it does not
// do itself what the syncer is to do.
func TestWhatTheHostsAdmissionChangedStays(t *testing.T) {
	s := setUp(t)
	for _, m := range mutatedKinds() {
		t.Run(m.resource, func(t *testing.T) {
			running := s
			s := m.subject(t, s)
			lift := s.mutateOnHost(m)
			is := func(value any, path ...string) func(*unstructured.Unstructured) bool {
				return func(host *unstructured.Unstructured) bool {
					got, _, _ := unstructured.NestedFieldNoCopy(host.Object, path...)
					return reflect.DeepEqual(got, value)
				}
			}
			names := []string{"kept", "asked", "drifted", "kept-while-down", "asked-while-down", "drifted-while-down"}
			for _, name := range names {
				s.create(name, func(object *unstructured.Unstructured) { object.SetLabels(map[string]string{labelMutated: "yes"}) })
			}
			for _, name := range names {
				s.awaitHost(name, "is as the host answered", func(host *unstructured.Unstructured) bool {
					return is(m.answered, m.path...)(host) && host.GetAnnotations()["garret.dev/answered"] != ""
				})
			}
			before := s.updates(m.resource)
			for _, name := range names {
				// It asks for nothing of the host, and has the syncer look at the object.
				s.change(name, `{"metadata":{"annotations":{"looked":"at"}}}`)
			}
			s.create("marker")
			s.awaitHost("marker", "is there", func(*unstructured.Unstructured) bool { return true })
			if after := s.updates(m.resource); after != before {
				t.Errorf("got %v writes of what the host answered, want none", after-before)
			}

			lift()
			ask := func(suffix string) {
				s.change("kept"+suffix, m.other)
				s.change("asked"+suffix, m.another)
				_, err := s.onHost.Patch(t.Context(), s.hostName("drifted"+suffix), types.MergePatchType, []byte(m.drift), metav1.PatchOptions{})
				s.must(err)
			}
			ask("")
			running.stop()
			ask("-while-down")
			running.start()
			for _, suffix := range []string{"", "-while-down"} {
				host := s.awaitHost("kept"+suffix, "has the other field that was asked for", is(m.otherValue, m.otherPath...))
				if !is(m.answered, m.path...)(host) {
					t.Errorf("what the host answered is written over with another field: %v", host.Object)
				}
				s.awaitHost("asked"+suffix, "has what else was asked for", is(m.anotherValue, m.path...))
				s.awaitHost("drifted"+suffix, "is put back", is(m.put, m.path...))
			}
		})
	}
}

// subject has objects inside that a pod refers to, where it takes one.
func (m mutated) subject(t *testing.T, s *side) *mutatedSubject {
	k := kinds()[slices.IndexFunc(kinds(), func(k *kind) bool { return k.Resource == m.resource })]
	k.object = fields{}
	s.must(json.Unmarshal([]byte(m.object), &k.object))
	return &mutatedSubject{newSubject(t, s, k)}
}

type mutatedSubject struct{ *subject }

func (s *mutatedSubject) change(name, patch string) {
	s.t.Helper()
	_, err := s.inside.Patch(s.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	s.must(err)
}

// updates is how many of the kind the running syncer has counted on the host.
func (s *side) updates(resource string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	s.must(err)
	total := 0.0
	for _, family := range families {
		if family.GetName() != "garret_syncer_host_writes_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["kind"] == resource && labels["operation"] == "update" {
				total += metric.GetCounter().GetValue()
			}
		}
	}
	return total
}

// mutateOnHost has a policy of the host act on what bears the label, until it is lifted.
func (s *mutatedSubject) mutateOnHost(m mutated) (lift func()) {
	s.t.Helper()
	ctx := s.t.Context()
	registration := s.host.AdmissionregistrationV1()
	name := m.resource + "-" + s.namespace
	_, err := registration.MutatingAdmissionPolicies().Create(ctx, &admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{translate.Key(labelMutated): "yes"}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{s.Group}, APIVersions: []string{s.Version}, Resources: []string{m.resource}},
				}}},
			},
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch,
				JSONPatch: &admissionv1.JSONPatch{Expression: m.policy}}},
		}}, metav1.CreateOptions{})
	s.must(err)
	_, err = registration.MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name}}, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		_ = registration.MutatingAdmissionPolicyBindings().Delete(context.Background(), name, metav1.DeleteOptions{})
		_ = registration.MutatingAdmissionPolicies().Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	inForce := func(want bool) {
		framework.Eventually(s.t, "the policy is in force or lifted", func(ctx context.Context) (bool, error) {
			probe := s.valid("probe")
			probe.SetLabels(map[string]string{translate.Key(labelMutated): "yes"})
			made, err := s.onHost.Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				return false, err
			}
			got, _, _ := unstructured.NestedFieldNoCopy(made.Object, m.path...)
			return reflect.DeepEqual(got, m.answered) == want, nil
		})
	}
	inForce(true)
	return func() {
		s.must(registration.MutatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}))
		inForce(false)
	}
}

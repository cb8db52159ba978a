// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"helm.sh/helm/v3/pkg/chartutil"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/slicereview"
	"garret.dev/garret/pkg/storagereview"
)

const (
	syncerPolicy  = "syncers." + tenancyv1.GroupName
	storagePolicy = "syncers-storage." + tenancyv1.GroupName
)

// denying finds the policy of a name and its webhook, and wants neither to let anything through
// by a default. The webhook asks garret-apiserver at the path.
func denying(t *testing.T, name, path string) (*admissionregistrationv1.ValidatingAdmissionPolicy, []admissionregistrationv1.ValidatingWebhook) {
	t.Helper()
	installed := objects(t, nil)
	policy := find[*admissionregistrationv1.ValidatingAdmissionPolicy](t, installed, name)
	binding := find[*admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, installed, name)
	hooks := find[*admissionregistrationv1.ValidatingWebhookConfiguration](t, installed, name).Webhooks
	if *policy.Spec.FailurePolicy != admissionregistrationv1.Fail || binding.Spec.PolicyName != policy.Name || binding.Spec.MatchResources != nil ||
		!slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		t.Errorf("got %v bound by %v", policy.Spec.FailurePolicy, binding.Spec)
	}
	if len(hooks) != 1 || *hooks[0].FailurePolicy != admissionregistrationv1.Fail || hooks[0].NamespaceSelector != nil || hooks[0].ObjectSelector != nil {
		t.Fatalf("got webhooks %v", hooks)
	}
	service := hooks[0].ClientConfig.Service
	if service.Namespace != "default" || service.Name != "kubernetes" || *service.Path != path {
		t.Errorf("the webhook asks %v", service)
	}
	return policy, hooks
}

// TestPolicyCoversWhatIsInNoNamespace wants the policy to match every write that a ClusterRole lent
// to syncers grants, whatever became of the account's Role, and the webhook to match what is written.
func TestPolicyCoversWhatIsInNoNamespace(t *testing.T) {
	policy, hooks := denying(t, storagePolicy, storagereview.Path)
	if len(policy.Spec.MatchConditions) != 1 || len(hooks[0].MatchConditions) != 1 || policy.Spec.MatchConditions[0] != hooks[0].MatchConditions[0] {
		t.Errorf("got conditions %v and %v, want one and the same", policy.Spec.MatchConditions, hooks[0].MatchConditions)
	}
	if condition := policy.Spec.MatchConditions[0].Expression; strings.Contains(condition, "bound") || !strings.Contains(condition, "check('lent')") {
		t.Errorf("got %s, want it to hold whoever is lent the rights", condition)
	}
	everything, err := tenancyv1.SelectResources(tenancyv1.CataloguedResources(), nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, role := range tenancyv1.ClusterRoles() {
		for _, kind := range tenancyv1.KindsOfRole(role, everything) {
			for _, verb := range kind.Verbs {
				operation, writes := map[string]admissionregistrationv1.OperationType{"create": admissionregistrationv1.Create, "update": admissionregistrationv1.Update,
					"patch": admissionregistrationv1.Update, "delete": admissionregistrationv1.Delete}[verb]
				if !writes {
					continue
				}
				asked++
				if !slices.ContainsFunc(policy.Spec.MatchConstraints.ResourceRules, func(rule admissionregistrationv1.NamedRuleWithOperations) bool {
					return *rule.Scope == admissionregistrationv1.ClusterScope && slices.Contains(rule.APIGroups, kind.Group) && slices.Contains(rule.Resources, kind.Resource) && slices.Contains(rule.Operations, operation)
				}) {
					t.Errorf("a syncer may %s %s.%s, and no policy looks at it", verb, kind.Resource, kind.Group)
				}
				if operation != admissionregistrationv1.Delete && !slices.ContainsFunc(hooks[0].Rules, func(rule admissionregistrationv1.RuleWithOperations) bool {
					return slices.Contains(rule.APIGroups, kind.Group) && slices.Contains(rule.Resources, kind.Resource) && slices.Contains(rule.Operations, operation)
				}) {
					t.Errorf("a syncer may %s %s.%s, and nobody compares it with what is allowed", verb, kind.Resource, kind.Group)
				}
			}
		}
	}
	if asked == 0 {
		t.Error("syncers write nothing: this test looks in the wrong place")
	}
}

// TestPolicyCoversWhatSyncersWrite wants the policy to match every write that the Role of
// any syncer grants. It leaves exec out: the host's edit may exec, whatever a pod's labels.
func TestPolicyCoversWhatSyncersWrite(t *testing.T) {
	policy := find[*admissionregistrationv1.ValidatingAdmissionPolicy](t, objects(t, nil), syncerPolicy)
	connects := []string{"pods/exec", "pods/attach", "pods/portforward"}
	operations := map[string]admissionregistrationv1.OperationType{
		"create": admissionregistrationv1.Create, "update": admissionregistrationv1.Update,
		"patch": admissionregistrationv1.Update, "delete": admissionregistrationv1.Delete,
	}
	everything, err := tenancyv1.SelectResources(tenancyv1.CataloguedResources(), nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	custom := tenancyv1.KindRule{APIVersion: "example.org/v1", Resource: "widgets"}
	covers := func(rules []admissionregistrationv1.NamedRuleWithOperations, right right, operation admissionregistrationv1.OperationType) bool {
		return slices.ContainsFunc(rules, func(rule admissionregistrationv1.NamedRuleWithOperations) bool {
			return len(rule.ResourceNames) == 0 && holds(rule.APIGroups, right.group) && slices.Contains(rule.APIVersions, "*") &&
				(slices.Contains(rule.Resources, right.resource) || slices.Contains(rule.Resources, "*/*")) &&
				(slices.Contains(rule.Operations, operation) || slices.Contains(rule.Operations, admissionregistrationv1.OperationAll))
		})
	}
	for _, rule := range tenancyv1.SyncerRules(everything, custom) {
		for _, right := range split(rule) {
			operation, writes := operations[right.verb]
			if !writes || slices.Contains(connects, right.resource) {
				continue
			}
			asked++
			if matched := policy.Spec.MatchConstraints; !covers(matched.ResourceRules, right, operation) || covers(matched.ExcludeResourceRules, right, operation) {
				t.Errorf("a syncer may %s %s.%s, and no policy looks at it", right.verb, right.resource, right.group)
			}
		}
	}
	if asked == 0 {
		t.Error("syncers write nothing: this test looks in the wrong place")
	}
}

// TestPolicyDenies wants nothing to be let through by a default.
func TestPolicyDenies(t *testing.T) {
	policy, hooks := denying(t, syncerPolicy, slicereview.Path)
	// A write that one of them matches, the other matches, too; nobody else's write waits for Garret.
	if len(policy.Spec.MatchConditions) != 1 || len(hooks[0].MatchConditions) != 1 || policy.Spec.MatchConditions[0] != hooks[0].MatchConditions[0] {
		t.Errorf("got conditions %v and %v, want one and the same", policy.Spec.MatchConditions, hooks[0].MatchConditions)
	}
	condition := policy.Spec.MatchConditions[0].Expression
	for _, part := range []string{"'system:serviceaccount:' + request.namespace + ':" + tenancyv1.ReleasePrefix + "'", "'" + tenancyv1.GroupName + "'"} {
		if !strings.Contains(condition, part) {
			t.Errorf("got %s, want %s in it", condition, part)
		}
	}
	for i, operand := range []string{"object", "oldObject"} {
		if expression := policy.Spec.Validations[i].Expression; !strings.Contains(expression, ".name("+operand+".metadata.labels['"+tenancyv1.LabelCluster+"'])") {
			t.Errorf("got %s, want the label of %s looked at", expression, operand)
		}
	}
}

// TestOldHostsGetNoPolicy keeps a chart installable where a host knows none of the kinds.
func TestOldHostsGetNoPolicy(t *testing.T) {
	for version, want := range map[string]bool{"v1.29.9": false, "v1.30.0": true, "v1.30.0-gke.100": true, "v1.37.2+k3s1": true} {
		stream, err := renderFor(chartutil.KubeVersion{Version: version, Major: "1"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(stream, "ValidatingAdmissionPolicy\n"); got != want || got != strings.Contains(stream, "ValidatingWebhookConfiguration\n") {
			t.Errorf("%s: got policies %t, want %t", version, got, want)
		}
		// What the policy would hold is lent to nobody without it.
		for _, role := range tenancyv1.WritingRoles() {
			if got := strings.Contains(stream, "name: "+role+"\n"); got != want {
				t.Errorf("%s: got the ClusterRole %s %t, want %t", version, role, got, want)
			}
		}
	}
}

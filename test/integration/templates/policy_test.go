// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// policies choose the template of the virtual cluster by-policy, and refuse what a
// template can fill in: the one works before the template, the other after it.
const policies = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: templates.garret.dev}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [tenancy.garret.dev], apiVersions: [v1], operations: [CREATE], resources: [virtualclusters]}]
  matchConditions: [{name: named, expression: "object.metadata.name == 'by-policy'"}]
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{spec: Object.spec{templateRef: Object.spec.templateRef{name: "chosen"}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: templates.garret.dev}
spec: {policyName: templates.garret.dev}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: templates.garret.dev}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [tenancy.garret.dev], apiVersions: [v1], operations: [CREATE], resources: [virtualclusters]}]
  validations:
  - expression: "!has(object.spec.syncer.extraArgs) || !('--v=7' in object.spec.syncer.extraArgs)"
    message: the level 8 shows secrets
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: templates.garret.dev}
spec: {policyName: templates.garret.dev, validationActions: [Deny]}
`

func TestPoliciesOfTheHost(t *testing.T) {
	template(t, "chosen", `{"versions":[{"version":"1.0.0","forced":{"syncer":{"extraArgs":["--v=5"]}}}]}`)
	template(t, "loud", `{"versions":[{"version":"1.0.0","forced":{"syncer":{"extraArgs":["--v=7"]}}}]}`)
	shared.host.Kubectl().Apply(t, policies)
	t.Cleanup(func() {
		ctx, registrations := context.Background(), shared.host.Client.AdmissionregistrationV1()
		const name = "templates.garret.dev"
		for _, err := range []error{
			registrations.MutatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}),
			registrations.MutatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}),
			registrations.ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}),
			registrations.ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	in := clusters(t)
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	try := func(ctx context.Context, name string, spec v1.VirtualClusterSpec) (*v1.VirtualCluster, error) {
		return in.Create(ctx, &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, dry)
	}
	framework.Eventually(t, "the policy chooses the template, whose forced part is there", func(ctx context.Context) (bool, error) {
		got, err := try(ctx, "by-policy", v1.VirtualClusterSpec{})
		return err == nil && got.Status.Template != nil && got.Status.Template.Name == "chosen" && got.Spec.Syncer.ExtraArgs[0] == "--v=5", nil
	})
	framework.Eventually(t, "the policy judges what the template forces", func(ctx context.Context) (bool, error) {
		_, err := try(ctx, "demo", v1.VirtualClusterSpec{TemplateRef: ref("loud")})
		return err != nil && strings.Contains(err.Error(), "the level 8 shows secrets"), nil
	})
}

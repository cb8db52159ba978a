// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

const auditAnnotation = "tenancy.garret.dev/audit-policy"

func TestAuditIsOffUnlessAskedFor(t *testing.T) {
	got := render(t, testValues(), nil)
	if _, set := got.statefulSet.Spec.Template.Annotations[auditAnnotation]; set {
		t.Error("there is an audit policy")
	}
	for _, arg := range got.container(t, "k3s").Args {
		if len(arg) > 30 && arg[:30] == "--kube-apiserver-arg=audit-pol" {
			t.Errorf("the control plane has %s", arg)
		}
	}
}

// TestAudit asks the evaluator of the API server what the policy records.
func TestAudit(t *testing.T) {
	values := testValues()
	values.Kubernetes.ExtraArgs = []string{"--kube-apiserver-arg=audit-log-format=json"}
	got := render(t, values, parse(t, `audit: {enabled: true}`))
	container := got.container(t, "k3s")
	if file := "--kube-apiserver-arg=audit-policy-file=/etc/garret/audit/policy.yaml"; !slices.Contains(container.Args, file) {
		t.Errorf("got arguments %q, want %s among them", container.Args, file)
	}
	if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/etc/garret/audit" && m.ReadOnly }) {
		t.Errorf("got mounts %v, want the policy's among them", container.VolumeMounts)
	}
	loaded, err := policy.LoadPolicyFromBytes([]byte(got.statefulSet.Spec.Template.Annotations[auditAnnotation]))
	if err != nil {
		t.Fatalf("the API server would not start with the policy: %v", err)
	}
	evaluator := policy.NewPolicyRuleEvaluator(loaded)
	for _, test := range []struct {
		name, user, group string
		request           authorizer.AttributesRecord
		want              auditinternal.Level
	}{
		{"somebody who came through the relay", "garret:relay", "", authorizer.AttributesRecord{Verb: "get", Resource: "pods"}, auditinternal.LevelMetadata},
		{"a kubeconfig that reads a secret", "host:alice", "", authorizer.AttributesRecord{Verb: "get", Resource: "secrets"}, auditinternal.LevelMetadata},
		{"an exec", "host:alice", "", authorizer.AttributesRecord{Verb: "create", Resource: "pods", Subresource: "exec"}, auditinternal.LevelMetadata},
		{"the syncer at work", "system:admin", "", authorizer.AttributesRecord{Verb: "patch", Resource: "pods", Subresource: "status"}, auditinternal.LevelNone},
		{"the syncer giving a right", "system:admin", "", authorizer.AttributesRecord{Verb: "create", APIGroup: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}, auditinternal.LevelMetadata},
		{"a controller that looks", "system:serviceaccount:kube-system:x", "system:serviceaccounts:kube-system", authorizer.AttributesRecord{Verb: "list", Resource: "pods"}, auditinternal.LevelNone},
		{"an account of kube-system that changes something", "system:serviceaccount:kube-system:x", "system:serviceaccounts:kube-system", authorizer.AttributesRecord{Verb: "delete", Resource: "pods"}, auditinternal.LevelMetadata},
		{"the API server's own look around", "system:apiserver", "system:masters", authorizer.AttributesRecord{Verb: "list", Resource: "secrets"}, auditinternal.LevelNone},
		{"a secret read as the API server", "system:apiserver", "system:masters", authorizer.AttributesRecord{Verb: "get", Resource: "secrets"}, auditinternal.LevelMetadata},
		{"an exec as the API server", "system:apiserver", "system:masters", authorizer.AttributesRecord{Verb: "create", Resource: "pods", Subresource: "exec"}, auditinternal.LevelMetadata},
		{"a right given as the API server", "system:apiserver", "system:masters", authorizer.AttributesRecord{Verb: "create", APIGroup: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}, auditinternal.LevelMetadata},
		{"somebody who uses a node as a proxy", "host:alice", "", authorizer.AttributesRecord{Verb: "get", Resource: "nodes", Subresource: "proxy"}, auditinternal.LevelMetadata},
		{"a lease of the API server", "system:apiserver", "system:masters", authorizer.AttributesRecord{Verb: "update", APIGroup: "coordination.k8s.io", Resource: "leases"}, auditinternal.LevelNone},
		{"a lease", "system:serviceaccount:a:b", "", authorizer.AttributesRecord{Verb: "update", APIGroup: "coordination.k8s.io", Resource: "leases"}, auditinternal.LevelNone},
	} {
		test.request.ResourceRequest = true
		test.request.User = &user.DefaultInfo{Name: test.user, Groups: []string{test.group}}
		if got := evaluator.EvaluatePolicyRule(test.request).Level; got != test.want {
			t.Errorf("%s: got level %s, want %s", test.name, got, test.want)
		}
	}
}

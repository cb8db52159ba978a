// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
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

const webhookAnnotation = "tenancy.garret.dev/audit-webhook"

// TestActivity asks the evaluator of the API server what it tells the syncer, alone and beside
// an audit log.
func TestActivity(t *testing.T) {
	values := testValues()
	values.Activity.Enabled = true
	for _, log := range []bool{false, true} {
		got := render(t, values, parse(t, fmt.Sprintf(`audit: {enabled: %t}`, log)))
		container := got.container(t, "k3s")
		logged := slices.Contains(container.Args, "--kube-apiserver-arg=audit-log-path=-")
		if file := "--kube-apiserver-arg=audit-webhook-config-file=/etc/garret/audit/webhook.yaml"; !slices.Contains(container.Args, file) || logged != log {
			t.Errorf("audit log %t: got arguments %q, want %s among them", log, container.Args, file)
		}
		annotations := got.statefulSet.Spec.Template.Annotations
		config, err := clientcmd.Load([]byte(annotations[webhookAnnotation]))
		if err != nil {
			t.Fatalf("the API server would not start with the webhook: %v", err)
		}
		server := fmt.Sprintf("https://127.0.0.1:%d/activity", tenancyv1.PortWebhook)
		if cluster := config.Clusters[config.Contexts[config.CurrentContext].Cluster]; cluster.Server != server || cluster.InsecureSkipTLSVerify || cluster.CertificateAuthority == "" {
			t.Errorf("audit log %t: events go to %+v, want %s and its authority", log, cluster, server)
		}
		loaded, err := policy.LoadPolicyFromBytes([]byte(annotations[auditAnnotation]))
		if err != nil {
			t.Fatalf("the API server would not start with the policy: %v", err)
		}
		evaluator := policy.NewPolicyRuleEvaluator(loaded)
		for _, test := range activities() {
			test.request.ResourceRequest = test.request.Path == ""
			test.request.User = &user.DefaultInfo{Name: test.user, Groups: []string{test.group}}
			got := evaluator.EvaluatePolicyRule(test.request)
			want := test.alone
			if log {
				want = test.logged
			}
			if got.Level != want {
				t.Errorf("audit log %t: %s: got level %s, want %s", log, test.name, got.Level, want)
			}
			if want != auditinternal.LevelNone && !slices.Equal(got.OmitStages, []auditinternal.Stage{auditinternal.StageRequestReceived}) {
				t.Errorf("%s: stages %v are left out, want the first: the beginning of a stream has to be told", test.name, got.OmitStages)
			}
		}
	}
}

type activityRow struct {
	name, user, group string
	request           authorizer.AttributesRecord
	alone, logged     auditinternal.Level
}

func activities() []activityRow {
	const none, told = auditinternal.LevelNone, auditinternal.LevelMetadata
	get := authorizer.AttributesRecord{Verb: "get", Resource: "pods"}
	patch := authorizer.AttributesRecord{Verb: "patch", Resource: "pods"}
	events := authorizer.AttributesRecord{Verb: "watch", Resource: "events"}
	version := authorizer.AttributesRecord{Verb: "get", Path: "/version"}
	return []activityRow{
		{"a person", "host:alice", "garret:admins", get, told, told},
		{"a person who watches events", "host:alice", "garret:admins", events, told, told},
		{"a person who asks for the version", "host:alice", "garret:admins", version, told, told},
		{"a user of the tenant's own", "bob", "system:authenticated", get, told, told},
		{"the relay", "garret:relay", "", get, none, told},
		{"the relay, which watches events", "garret:relay", "", events, none, none},
		{"the syncer", "system:admin", "system:masters", patch, none, none},
		{"the API server", "system:apiserver", "system:masters", get, none, none},
		{"the controller manager", "system:kube-controller-manager", "", patch, none, none},
		{"a controller of k3s", "system:k3s-controller", "system:authenticated", version, none, none},
		{"a node", "system:node:n", "system:nodes", events, none, none},
		{"a pod", "system:serviceaccount:default:default", "system:serviceaccounts", patch, none, told},
		{"a pod, which watches events", "system:serviceaccount:default:default", "system:serviceaccounts", events, none, none},
		{"nobody", "system:anonymous", "system:unauthenticated", version, none, none},
	}
}

func TestActivityIsNotToldUnlessAskedFor(t *testing.T) {
	got := render(t, testValues(), parse(t, `audit: {enabled: true}`))
	if _, set := got.statefulSet.Spec.Template.Annotations[webhookAnnotation]; set {
		t.Error("there is a webhook")
	}
	for _, arg := range got.container(t, "k3s").Args {
		if strings.HasPrefix(arg, "--kube-apiserver-arg=audit-webhook") {
			t.Errorf("the control plane has %s", arg)
		}
	}
	if _, err := tryRender(t, testValues(), parse(t, `activity: {enabled: true}`)); err == nil {
		t.Error("a tenant may have it on without spec.sleep")
	}
}

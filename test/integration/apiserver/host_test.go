// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver/certs"
)

func TestQuotaIsEnforced(t *testing.T) {
	in := clusters(t)
	namespace := create(t, in, named("first")).Namespace
	const count = "count/virtualclusters.tenancy.garret.dev"
	quotas := shared.host.Client.CoreV1().ResourceQuotas(namespace)
	if _, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "clusters"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{count: resource.MustParse("2")}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host has counted", func(ctx context.Context) (bool, error) {
		quota, err := quotas.Get(ctx, "clusters", metav1.GetOptions{})
		used := quota.Status.Used[count]
		return err == nil && used.Value() == 1, err
	})
	create(t, in, named("second"))
	if _, err := in.Create(t.Context(), named("third"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota") {
		t.Errorf("third: got %v, want Forbidden for the quota", err)
	}
}

func TestHostPoliciesHold(t *testing.T) {
	in := clusters(t)
	namespace := create(t, in, named("allowed")).Namespace
	policies := shared.host.Client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := shared.host.Client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	match := &admissionregistrationv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{v1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"virtualclusters"}},
		}}},
	}
	name := namespace + "-names"
	if _, err := policies.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: match,
			Validations:      []admissionregistrationv1.Validation{{Expression: "object.metadata.name.startsWith('team-')", Message: "names begin with team-"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := bindings.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = bindings.Delete(context.Background(), name, metav1.DeleteOptions{})
		_ = policies.Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	eventually(t, "the policy denies", func(ctx context.Context) (bool, error) {
		_, err := in.Create(ctx, named("other"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "names begin with team-"), nil
	})
	create(t, in, named("team-a"))
}

// TestPublishedAuthorityIsRepaired takes away what garret-apiserver published.
func TestPublishedAuthorityIsRepaired(t *testing.T) {
	configMaps := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace)
	before, err := configMaps.Get(t.Context(), v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := configMaps.Delete(t.Context(), v1.CAConfigMap, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ConfigMap is back", func(ctx context.Context) (bool, error) {
		got, err := configMaps.Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
		return err == nil && got.Data[v1.CAConfigMapKey] == before.Data[v1.CAConfigMapKey], nil
	})
	registrations, err := aggregator.NewForConfig(shared.host.Config)
	if err != nil {
		t.Fatal(err)
	}
	services := registrations.ApiregistrationV1().APIServices()
	if _, err := services.Patch(t.Context(), certs.APIServiceName, types.MergePatchType,
		[]byte(`{"spec":{"caBundle":null,"insecureSkipTLSVerify":true}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the APIService is verified again", func(ctx context.Context) (bool, error) {
		got, err := services.Get(ctx, certs.APIServiceName, metav1.GetOptions{})
		return err == nil && !got.Spec.InsecureSkipTLSVerify && string(got.Spec.CABundle) == before.Data[v1.CAConfigMapKey], nil
	})
	eventually(t, "requests get through", func(ctx context.Context) (bool, error) {
		_, err := shared.garret.Clients.TenancyV1().VirtualClusters("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
}

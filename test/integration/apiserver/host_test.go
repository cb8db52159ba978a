// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver/certs"
)

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

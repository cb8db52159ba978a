// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/test/framework"
)

// TestPublishedAuthorityIsRepaired takes away what garret-apiserver published.
func TestPublishedAuthorityIsRepaired(t *testing.T) {
	within(t, nil)
	available(t)
	configMaps := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace)
	before, err := configMaps.Get(t.Context(), v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := configMaps.Delete(t.Context(), v1.CAConfigMap, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the ConfigMap is back", func(ctx context.Context) (bool, error) {
		got, err := configMaps.Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
		return err == nil && got.Data[v1.CAConfigMapKey] == before.Data[v1.CAConfigMapKey], nil
	})
	registrations := shared.registrations.ApiregistrationV1().APIServices()
	if _, err := registrations.Patch(t.Context(), certs.APIServiceName, types.MergePatchType,
		[]byte(`{"spec":{"caBundle":null,"insecureSkipTLSVerify":true}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the APIService is verified again", func(ctx context.Context) (bool, error) {
		got, err := registrations.Get(ctx, certs.APIServiceName, metav1.GetOptions{})
		return err == nil && !got.Spec.InsecureSkipTLSVerify && string(got.Spec.CABundle) == before.Data[v1.CAConfigMapKey], nil
	})
	available(t)
}

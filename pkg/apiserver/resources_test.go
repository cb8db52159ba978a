// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
)

// TestServes wants the host to be asked each time for a kind in one version.
func TestServes(t *testing.T) {
	host := fake.NewClientset()
	asked := serves(host.Discovery())
	claims := schema.GroupVersionResource{Group: "resource.k8s.io", Version: "v1", Resource: "resourceclaims"}
	for _, test := range []struct {
		version, resource string
		want              bool
	}{{"", "", false}, {"v1beta2", "resourceclaims", false}, {"v1", "deviceclasses", false}, {"v1", "resourceclaims", true}} {
		host.Resources = nil
		if test.version != "" {
			host.Resources = []*metav1.APIResourceList{{GroupVersion: "resource.k8s.io/" + test.version, APIResources: []metav1.APIResource{{Name: test.resource}}}}
		}
		if got, err := asked(t.Context(), claims); err != nil || got != test.want {
			t.Errorf("a host with %s %s: got %t and %v, want %t", test.version, test.resource, got, err, test.want)
		}
	}
}

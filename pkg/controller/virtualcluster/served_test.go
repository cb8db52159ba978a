// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestServedVersion wants kinds whose version differs by host in the newest that the host serves, also those
// that were recorded in another one.
func TestServedVersion(t *testing.T) {
	group := func(version string, resources ...string) *metav1.APIResourceList {
		list := &metav1.APIResourceList{GroupVersion: tenancyv1.GroupGatewayAPI + "/" + version}
		for _, resource := range resources {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: resource})
		}
		return list
	}
	for name, test := range map[string]struct {
		host []*metav1.APIResourceList
		want map[string]string
	}{
		"an older release": {[]*metav1.APIResourceList{group("v1", "gateways"), group("v1alpha2", "tlsroutes", "tcproutes", "tlsroutes/status"), group("v1alpha3", "tlsroutes")},
			map[string]string{"gateways": "v1", "tlsroutes": "v1alpha3", "tcproutes": "v1alpha2"}},
		"a newer release": {[]*metav1.APIResourceList{group("v1", "gateways", "tlsroutes", "tcproutes"), group("v1alpha2", "tcproutes")},
			map[string]string{"gateways": "v1", "tlsroutes": "v1", "tcproutes": "v1"}},
		"none": {nil, map[string]string{"gateways": "v1", "tlsroutes": "v1", "tcproutes": "v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			host := fake.NewClientset()
			host.Resources = test.host
			c := &Controller{Dependencies: Dependencies{Host: host}}
			spec, on := &tenancyv1.SyncerSpec{}, true
			spec.ToHost.Gateways.Enabled, spec.ToHost.TLSRoutes.Enabled, spec.ToHost.TCPRoutes.Enabled = &on, &on, &on
			rules, err := spec.RulesIn(c.servedVersion)
			if err != nil || len(rules) != len(test.want) {
				t.Fatalf("got %d rules and %v, want %d", len(rules), err, len(test.want))
			}
			for _, rule := range rules {
				if got := rule.GroupVersionResource().Version; got != test.want[rule.Resource] {
					t.Errorf("%s: got %s, want %s", rule.Resource, got, test.want[rule.Resource])
				}
			}
			recorded, err := tenancyv1.ParseCustomKind("tcproutes.v1beta1." + tenancyv1.GroupGatewayAPI)
			if err != nil {
				t.Fatal(err)
			}
			if now, err := c.served(recorded); err != nil || now.Version != test.want["tcproutes"] {
				t.Errorf("a recorded kind: got %s and %v, want %s", now.Version, err, test.want["tcproutes"])
			}
			spec.FromHost.Custom = []tenancyv1.KindFromHost{{APIVersion: tenancyv1.GroupGatewayAPI + "/v1alpha2", Resource: "tlsroutes"}}
			if rules, err = spec.RulesIn(c.servedVersion); err != nil || rules[len(rules)-1].APIVersion != tenancyv1.GroupGatewayAPI+"/v1alpha2" {
				t.Errorf("a kind that is shown: got %s and %v, want the version of the spec", rules[len(rules)-1].APIVersion, err)
			}
		})
	}
}

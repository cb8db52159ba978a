// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
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

// TestKindNotServed wants a spec that asks by name for what the host is without to be told which field that
// is, and what to do, until the host serves it.
func TestKindNotServed(t *testing.T) {
	on := true
	for name, test := range map[string]struct {
		spec func(*tenancyv1.SyncerSpec)
		want []string
	}{
		"nothing": {func(*tenancyv1.SyncerSpec) {}, nil},
		"devices": {func(s *tenancyv1.SyncerSpec) {
			s.ToHost.ResourceClaims.Enabled, s.FromHost.DeviceClasses.Enabled = &on, &on
		},
			[]string{"spec.syncer.fromHost.deviceClasses: the host does not serve deviceclasses of resource.k8s.io/v1, as Kubernetes does by default from 1.34 on",
				"spec.syncer.toHost.resourceClaims: the host does not serve resourceclaims of resource.k8s.io/v1", "upgrade it or switch the kind on there, or switch the field off"}},
		"a flag": {func(s *tenancyv1.SyncerSpec) { s.ExtraArgs = []string{"--sync-resources=volumeattributesclasses"} },
			[]string{"spec.syncer.fromHost.volumeAttributesClasses: the host does not serve volumeattributesclasses of storage.k8s.io/v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			test.spec(&vc.Spec.Syncer)
			c := deployer(t, true, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.RoleHostClasses}})
			host := c.Host.(*fake.Clientset)
			whole := host.Resources
			host.Resources = nil
			args, err := c.syncerArguments(t.Context(), vc, true)
			if len(test.want) == 0 {
				if err != nil || !slices.Equal(args, []string{"--disable-sync-resources=volumeattributesclasses"}) {
					t.Errorf("got %v and %v, want what is on by default left out", args, err)
				}
				return
			}
			found := deployTrouble(cmp.Or(err, errors.New("none")))
			for _, want := range test.want {
				if found.Reason != reasonKindNotServed || !found.retry || !strings.Contains(found.Message, want) {
					t.Errorf("got %+v, want %q in it", found, want)
				}
			}
			host.Resources = whole
			args, err = c.syncerArguments(t.Context(), vc, true)
			if err != nil || !slices.Equal(args, vc.Spec.Syncer.Args()) {
				t.Errorf("once the host serves it: got %v and %v, want %v", args, err, vc.Spec.Syncer.Args())
			}
		})
	}
}

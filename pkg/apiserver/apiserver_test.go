// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2/ktesting"
)

type everything struct{ level auditinternal.Level }

func (e everything) EvaluatePolicyRule(authorizer.Attributes) audit.RequestAuditConfig {
	return audit.RequestAuditConfig{Level: e.level, OmitManagedFields: true}
}

func TestAuditKeepsCredentialsOut(t *testing.T) {
	attributes := func(group, resource, subresource string) authorizer.Attributes {
		return authorizer.AttributesRecord{ResourceRequest: true, APIGroup: group, Resource: resource, Subresource: subresource}
	}
	for name, test := range map[string]struct {
		attributes   authorizer.Attributes
		policy, want auditinternal.Level
	}{
		"kubeconfig":           {attributes("tenancy.garret.dev", "virtualclusters", "kubeconfig"), auditinternal.LevelRequestResponse, auditinternal.LevelMetadata},
		"kubeconfig's request": {attributes("tenancy.garret.dev", "virtualclusters", "kubeconfig"), auditinternal.LevelRequest, auditinternal.LevelMetadata},
		"not audited":          {attributes("tenancy.garret.dev", "virtualclusters", "kubeconfig"), auditinternal.LevelNone, auditinternal.LevelNone},
		"the object":           {attributes("tenancy.garret.dev", "virtualclusters", ""), auditinternal.LevelRequestResponse, auditinternal.LevelRequestResponse},
		"another group":        {attributes("other", "virtualclusters", "kubeconfig"), auditinternal.LevelRequestResponse, auditinternal.LevelRequestResponse},
		"no resource":          {authorizer.AttributesRecord{Path: "/healthz"}, auditinternal.LevelRequest, auditinternal.LevelRequest},
	} {
		t.Run(name, func(t *testing.T) {
			got := keySaving{everything{test.policy}}.EvaluatePolicyRule(test.attributes)
			if got.Level != test.want || !got.OmitManagedFields {
				t.Errorf("got %+v, want level %s and the rest of the policy", got, test.want)
			}
		})
	}
}

func TestPoliciesOfOlderHosts(t *testing.T) {
	for name, test := range map[string]struct {
		served []string
		want   []string
	}{
		"new":     {[]string{"mutatingadmissionpolicies", "validatingadmissionpolicies"}, nil},
		"1.30":    {[]string{"validatingadmissionpolicies"}, []string{mutatingpolicy.PluginName}},
		"ancient": {nil, []string{mutatingpolicy.PluginName, validatingpolicy.PluginName}},
	} {
		t.Run(name, func(t *testing.T) {
			_, ctx := ktesting.NewTestContext(t)
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			client := fake.NewClientset()
			list := &metav1.APIResourceList{GroupVersion: "admissionregistration.k8s.io/v1"}
			for _, name := range test.served {
				list.APIResources = append(list.APIResources, metav1.APIResource{Name: name})
			}
			client.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{list}
			options := genericoptions.NewAdmissionOptions()
			if err := switchOffUnserved(ctx, client.Discovery(), options); err != nil {
				t.Fatal(err)
			}
			slices.Sort(options.DisablePlugins)
			if !slices.Equal(options.DisablePlugins, test.want) {
				t.Errorf("switched off: got %v, want %v", options.DisablePlugins, test.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"defaults":           {nil, ""},
		"two datastores":     {[]string{"--etcd-servers=https://e:2379", "--datastore-endpoint=mysql://u@tcp(h)/d"}, "choose one"},
		"etcd":               {[]string{"--etcd-servers=https://e:2379"}, ""},
		"life too long":      {[]string{"--kubeconfig-max-life=48h"}, "--kubeconfig-max-life"},
		"resolver":           {[]string{"--resolve-services=magic"}, "--resolve-services"},
		"bad database":       {[]string{"--datastore-endpoint=oracle://u:secret@h"}, "--datastore-endpoint"},
		"unknown plugin":     {[]string{"--enable-admission-plugins=Magic"}, "Magic"},
		"gateway":            {[]string{"--gateway=true", "--gateway-hostname=garret.example.com", "--gateway-hostname=*.example.com", "--gateway-hostname=192.0.2.1"}, ""},
		"gateway's name":     {[]string{"--gateway-hostname=https://garret.example.com"}, "--gateway-hostname"},
		"no time for anyone": {[]string{"--request-timeout=0s"}, "--request-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			options := NewOptions()
			sets := options.Flags()
			for _, set := range sets.FlagSets {
				for _, arg := range test.args {
					flag, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
					if set.Lookup(flag) != nil {
						if err := set.Set(flag, value); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if err := options.Complete(); err != nil {
				t.Fatal(err)
			}
			err := options.Validate()
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, which shows a password", err)
			}
		})
	}
}

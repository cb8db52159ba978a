// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package definitions

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/fake"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func definition(resource, kind string, scope apiextensionsv1.ResourceScope, versions ...string) *apiextensionsv1.CustomResourceDefinition {
	made := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: resource + "." + tenancyv1.GroupGatewayAPI},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{Group: tenancyv1.GroupGatewayAPI, Scope: scope, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: resource, Kind: kind}}}
	for _, version := range versions {
		made.Spec.Versions = append(made.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: version, Served: true})
	}
	return made
}

// installer is one between two fakes, the one inside of which serves at once.
func installer(host ...runtime.Object) *Installer {
	virtual := fake.NewClientset()
	virtual.PrependReactor("create", "customresourcedefinitions", func(action clienttesting.Action) (bool, runtime.Object, error) {
		made := action.(clienttesting.CreateAction).GetObject().(*apiextensionsv1.CustomResourceDefinition)
		for _, condition := range []apiextensionsv1.CustomResourceDefinitionConditionType{apiextensionsv1.Established, apiextensionsv1.NamesAccepted} {
			made.Status.Conditions = append(made.Status.Conditions, apiextensionsv1.CustomResourceDefinitionCondition{Type: condition, Status: apiextensionsv1.ConditionTrue})
		}
		return false, nil, nil
	})
	return &Installer{Host: fake.NewClientset(host...).ApiextensionsV1().CustomResourceDefinitions(), Virtual: virtual.ApiextensionsV1().CustomResourceDefinitions(),
		ClusterID: "c1", Wide: map[string]bool{"gatewayclasses.gateway.networking.k8s.io": true}}
}

// TestReferenceGrants wants them served inside in the newest version that the host has, with a kind of the
// Gateway API, and nothing wrong where the host has none.
func TestReferenceGrants(t *testing.T) {
	rules := []tenancyv1.KindRule{{APIVersion: "gateway.networking.k8s.io/v1", Resource: "httproutes"}}
	routes := definition("httproutes", "HTTPRoute", apiextensionsv1.NamespaceScoped, "v1")
	for name, test := range map[string]struct {
		host  []runtime.Object
		rules []tenancyv1.KindRule
		want  string
	}{
		"an older release":  {[]runtime.Object{routes, definition("referencegrants", "ReferenceGrant", apiextensionsv1.NamespaceScoped, "v1alpha2", "v1beta1")}, rules, "v1beta1"},
		"a newer release":   {[]runtime.Object{routes, definition("referencegrants", "ReferenceGrant", apiextensionsv1.NamespaceScoped, "v1beta1", "v1")}, rules, "v1"},
		"an unread version": {[]runtime.Object{routes, definition("referencegrants", "ReferenceGrant", apiextensionsv1.NamespaceScoped, "v2")}, rules, ""},
		"none":              {[]runtime.Object{routes}, rules, ""},
		"no routes":         {[]runtime.Object{definition("referencegrants", "ReferenceGrant", apiextensionsv1.NamespaceScoped, "v1")}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := installer(test.host...)
			outcome := i.Install(t.Context(), test.rules)
			if outcome.Grants.Version != test.want || len(outcome.Missing) > 0 || len(outcome.Kinds) != len(test.rules) {
				t.Errorf("got %v, missing %v, want version %q", outcome.Grants, outcome.Missing, test.want)
			}
			found, err := i.Virtual.Get(t.Context(), "referencegrants.gateway.networking.k8s.io", metav1.GetOptions{})
			if is := err == nil && Serves(found, test.want); is != (test.want != "") {
				t.Errorf("inside: got %v, served %t", err, is)
			}
		})
	}
}

// TestClasses wants a kind without namespaces to be served inside where it is a class, and no other.
func TestClasses(t *testing.T) {
	i := installer(definition("gatewayclasses", "GatewayClass", apiextensionsv1.ClusterScoped, "v1"), definition("gateways", "Gateway", apiextensionsv1.ClusterScoped, "v1"))
	outcome := i.Install(t.Context(), []tenancyv1.KindRule{{APIVersion: "gateway.networking.k8s.io/v1", Resource: "gatewayclasses"}, {APIVersion: "gateway.networking.k8s.io/v1", Resource: "gateways"}})
	if len(outcome.Kinds) != 1 || outcome.Kinds[0].Resource != "gatewayclasses" || outcome.Missing["gateways.gateway.networking.k8s.io"] == nil {
		t.Errorf("got %v, missing %v, want the classes alone", outcome.Kinds, outcome.Missing)
	}
}

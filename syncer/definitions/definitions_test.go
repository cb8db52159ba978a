// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package definitions

import (
	"fmt"
	"slices"
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

// TestVersions wants all versions of the host inside where nothing converts them, and with them what the
// project says of its release. What was stored in an earlier version stays readable.
func TestVersions(t *testing.T) {
	host := definition("httproutes", "HTTPRoute", apiextensionsv1.NamespaceScoped, "v1beta1", "v1", "v1alpha1")
	host.Spec.Versions[2].Served = false
	host.Annotations = map[string]string{"gateway.networking.k8s.io/bundle-version": "v1.4.0", "helm.sh/hook": "x"}
	rules := []tenancyv1.KindRule{{APIVersion: "gateway.networking.k8s.io/v1", Resource: "httproutes"}}
	i := installer(host)
	check := func(what string, want ...string) {
		t.Helper()
		if outcome := i.Install(t.Context(), rules); len(outcome.Missing) > 0 {
			t.Fatalf("%s: %v", what, outcome.Missing)
		}
		found, err := i.Virtual.Get(t.Context(), host.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, version := range found.Spec.Versions {
			got = append(got, fmt.Sprintf("%s %t %t", version.Name, version.Served, version.Storage))
		}
		if !slices.Equal(got, want) || len(found.Annotations) != 1 || found.Annotations["gateway.networking.k8s.io/bundle-version"] != host.Annotations["gateway.networking.k8s.io/bundle-version"] {
			t.Errorf("%s: got %q with %v, want %q", what, got, found.Annotations, want)
		}
	}
	check("two versions", "v1 true true", "v1beta1 true false")
	rename := host.DeepCopy()
	rename.Spec.Versions[0].Name, rename.Annotations["gateway.networking.k8s.io/bundle-version"] = "v2", "v1.5.0"
	if _, err := i.Host.Update(t.Context(), rename, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	host = rename
	check("a later release", "v1 true true", "v2 true false", "v1beta1 true false")

	host.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter}
	i = installer(host)
	check("a webhook converts", "v1 true true")
}

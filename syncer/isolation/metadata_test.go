// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestAnnotations says of annotations of an ingress, and of other kinds, what becomes of them.
func TestAnnotations(t *testing.T) {
	administrator := Metadata{AllowedAnnotations: []string{"example.org/*", "nginx.ingress.kubernetes.io/auth-url", "garret.dev/*"}, DeniedAnnotations: []string{"cert-manager.io/*"}}
	tests := map[string]struct {
		metadata   Metadata
		resource   string
		key, value string
		want       string
		leftOut    bool
	}{
		"by default":                  {resource: "ingresses", key: "cert-manager.io/cluster-issuer", value: "public", want: "public"},
		"an end of any sort":          {resource: "ingresses", key: "nginx.ingress.kubernetes.io/cors-max-age", value: "9", want: "9"},
		"of another kind":             {resource: "pods", key: "cert-manager.io/cluster-issuer", value: "public", leftOut: true},
		"of a kind without":           {resource: "secrets", key: "cert-manager.io/cluster-issuer", value: "public"},
		"an object of the namespace":  {resource: "ingresses", key: "cert-manager.io/issuer", value: "anothers", leftOut: true},
		"configuration":               {resource: "ingresses", key: "nginx.ingress.kubernetes.io/configuration-snippet", value: "return 200;", leftOut: true},
		"calls by the controller":     {resource: "ingresses", key: "nginx.ingress.kubernetes.io/auth-url", value: "http://169.254.169.254", leftOut: true},
		"another's balancer":          {resource: "ingresses", key: "alb.ingress.kubernetes.io/group.name", value: "anothers", leftOut: true},
		"a volume by the mesh":        {resource: "pods", key: "sidecar.istio.io/userVolume", value: "[]", leftOut: true},
		"any address for a name":      {resource: "services", key: "external-dns.alpha.kubernetes.io/target", value: "192.0.2.1", leftOut: true},
		"read by nobody of the host":  {resource: "services", key: "kubectl.kubernetes.io/last-applied-configuration", value: "{}"},
		"a secret":                    {resource: "ingresses", key: "nginx.ingress.kubernetes.io/auth-secret", value: "users", want: "host-users"},
		"a secret with its namespace": {resource: "ingresses", key: "nginx.ingress.kubernetes.io/auth-secret", value: "shop/users", want: "host-users"},
		"another namespace's secret":  {resource: "ingresses", key: "nginx.ingress.kubernetes.io/auth-secret", value: "kube-system/users", leftOut: true},
		"no secret":                   {resource: "ingresses", key: "nginx.ingress.kubernetes.io/auth-secret", value: "", leftOut: true},
		"the administrator's":         {metadata: administrator, resource: "persistentvolumeclaims", key: "example.org/size", value: "x", want: "x"},
		"the administrator's, named":  {metadata: administrator, resource: "ingresses", key: "nginx.ingress.kubernetes.io/auth-url", value: "u", want: "u"},
		"what the administrator took": {metadata: administrator, resource: "ingresses", key: "cert-manager.io/cluster-issuer", value: "public", leftOut: true},
		"Garret's own, never":         {metadata: administrator, resource: "services", key: "garret.dev/virtual-uid", value: "forged"},
		"nothing at all":              {metadata: Metadata{DeniedAnnotations: []string{"*"}}, resource: "pods", key: "prometheus.io/scrape", value: "true", leftOut: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want, left := map[string]string{}, []string(nil)
			if test.want != "" {
				want[test.key] = test.want
			}
			if test.leftOut {
				left = []string{test.key}
			}
			got, gotLeft := test.metadata.Annotations(test.resource, "shop", map[string]string{test.key: test.value}, func(name string) string { return "host-" + name })
			if !maps.Equal(got, want) || !slices.Equal(gotLeft, left) {
				t.Errorf("got %v and left out %v, want %v and %v", got, gotLeft, want, left)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	labels := map[string]string{"example.org/team": "a", "app": "web", tenancyv1.LabelCluster: "anothers"}
	if got := (Metadata{}).Labels("pods", labels); len(got) > 0 {
		t.Errorf("got %v, want none that nobody allows", got)
	}
	allowing := Metadata{AllowedLabels: []string{"example.org/*", "garret.dev/*"}}
	if got := allowing.Labels("pods", labels); !maps.Equal(got, map[string]string{"example.org/team": "a"}) {
		t.Errorf("got %v, want what is allowed, and none of Garret's", got)
	}
	if len(labels) != 3 {
		t.Error("the object was changed")
	}
}

// TestAnnotationsDocumented wants docs/isolation.md to list what travels by default.
func TestAnnotationsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/isolation.md")
	if err != nil {
		t.Fatal(err)
	}
	table := &strings.Builder{}
	fmt.Fprintln(table, "| who reads it | of | annotations |")
	fmt.Fprintln(table, "| --- | --- | --- |")
	for _, rule := range annotationRules() {
		words := "`" + strings.Join(slices.Sorted(slices.Values(rule.keys)), "`, `") + "`"
		if rule.secret {
			words += ", which names a Secret inside"
		}
		fmt.Fprintf(table, "| %s | %s | %s |\n", rule.who, strings.Join(rule.resources, ", "), words)
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/isolation.md has other annotations than this package. It should be:\n%s", table)
	}
}

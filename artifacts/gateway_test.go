// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func gatewayValues(values map[string]any) map[string]any {
	values["enabled"] = true
	return set("apiserver", set("gateway", values))
}

func gatewayArgs(t *testing.T, all []runtime.Object) []string {
	t.Helper()
	return find[*appsv1.StatefulSet](t, all, "garret-apiserver").Spec.Template.Spec.Containers[0].Args
}

func TestGatewayIsOffByDefault(t *testing.T) {
	all := objects(t, nil)
	for _, object := range all {
		if meta, ok := object.(metav1.Object); ok && strings.Contains(meta.GetName(), "gateway") && meta.GetName() != "garret-enter-gateway" {
			t.Errorf("%T %s is there", object, meta.GetName())
		}
	}
	if slices.ContainsFunc(gatewayArgs(t, all), func(arg string) bool { return strings.HasPrefix(arg, "--gateway") }) {
		t.Errorf("garret-apiserver opens it: %v", gatewayArgs(t, all))
	}
}

// TestGatewayURL has the published address follow from what else is set.
func TestGatewayURL(t *testing.T) {
	for name, tc := range map[string]struct {
		values map[string]any
		// url, authority and reference are what is published.
		url, authority, reference string
	}{
		"no name":    {map[string]any{}, "", "", tenancyv1.CAConfigMap},
		"a name":     {map[string]any{"hostnames": []any{"g.example.com"}}, "https://g.example.com", "", tenancyv1.CAConfigMap},
		"a wildcard": {map[string]any{"hostnames": []any{"*.example.com"}}, "", "", tenancyv1.CAConfigMap},
		"its own port": {map[string]any{"hostnames": []any{"g.example.com"}, "service": map[string]any{"type": "LoadBalancer", "port": 8443}},
			"https://g.example.com:8443", "", tenancyv1.CAConfigMap},
		"a node's port": {map[string]any{"hostnames": []any{"192.0.2.1"}, "service": map[string]any{"type": "NodePort", "nodePort": 30443}},
			"https://192.0.2.1:30443", "", tenancyv1.CAConfigMap},
		"a node's port to come": {map[string]any{"hostnames": []any{"192.0.2.1"}, "service": map[string]any{"type": "NodePort"}}, "", "", tenancyv1.CAConfigMap},
		"IPv6":                  {map[string]any{"hostnames": []any{"2001:db8::1"}}, "https://[2001:db8::1]", "", tenancyv1.CAConfigMap},
		"a given certificate":   {map[string]any{"hostnames": []any{"g.example.com"}, "tlsSecretName": "g"}, "https://g.example.com", "", ""},
		"and its authority": {map[string]any{"hostnames": []any{"g.example.com"}, "tlsSecretName": "g", "certificateAuthority": "-----BEGIN CERTIFICATE-----\nx\n"},
			"https://g.example.com", "-----BEGIN CERTIFICATE-----\nx\n", ""},
		"an Ingress that passes TLS through": {map[string]any{"hostnames": []any{"i.example.com"}, "ingress": map[string]any{"enabled": true, "host": "i.example.com"}},
			"https://i.example.com", "", tenancyv1.CAConfigMap},
		"an Ingress that ends TLS": {map[string]any{"ingress": map[string]any{"enabled": true, "host": "i.example.com", "tls": []any{map[string]any{"secretName": "i"}}}},
			"https://i.example.com", "", ""},
		"said": {map[string]any{"hostnames": []any{"g.example.com"}, "url": "https://proxy.example.com/g"}, "https://proxy.example.com/g", "", tenancyv1.CAConfigMap},
	} {
		t.Run(name, func(t *testing.T) {
			all := objects(t, gatewayValues(tc.values))
			data := find[*corev1.ConfigMap](t, all, tenancyv1.GatewayConfigMap).Data
			if data[tenancyv1.GatewayURLKey] != tc.url || data[tenancyv1.CAConfigMapKey] != tc.authority || data[tenancyv1.GatewayCAKey] != tc.reference {
				t.Errorf("published: %v, want %q, %q, %q", data, tc.url, tc.authority, tc.reference)
			}
			role := find[*rbacv1.Role](t, all, tenancyv1.GatewayConfigMap)
			if len(role.Rules) != 1 || !slices.Equal(role.Rules[0].Verbs, []string{"get"}) || !slices.Equal(role.Rules[0].Resources, []string{"configmaps"}) ||
				!slices.Equal(role.Rules[0].ResourceNames, []string{tenancyv1.GatewayConfigMap, tenancyv1.CAConfigMap}) {
				t.Errorf("everybody may %v, want to get two ConfigMaps", role.Rules)
			}
		})
	}
}

func TestGatewayCertificate(t *testing.T) {
	own := objects(t, gatewayValues(map[string]any{"hostnames": []any{"g.example.com", "192.0.2.1"}}))
	if got, want := gatewayArgs(t, own), []string{"--gateway", "--gateway-hostname=garret-gateway.garret-system.svc", "--gateway-hostname=g.example.com", "--gateway-hostname=192.0.2.1"}; !containsAll(got, want) {
		t.Errorf("got %v, want %v among them", got, want)
	}
	given := objects(t, gatewayValues(map[string]any{"hostnames": []any{"g.example.com", "h.example.com"}, "tlsSecretName": "given"}))
	args := gatewayArgs(t, given)
	if want := "--tls-sni-cert-key=/etc/garret/gateway/tls.crt,/etc/garret/gateway/tls.key:g.example.com,h.example.com"; !slices.Contains(args, want) {
		t.Errorf("got %v, want %s: the certificate for the host's API server must stay", args, want)
	}
	if slices.Contains(args, "--gateway-hostname=g.example.com") {
		t.Error("the name stands in garret-apiserver's own certificate, too")
	}
	if volume := volumeNamed(find[*appsv1.StatefulSet](t, given, "garret-apiserver"), "gateway-tls"); volume == nil || volume.Secret.SecretName != "given" {
		t.Errorf("the volume is %v, want the Secret", volume)
	}
}

// TestGatewayBesideACertificateFromElsewhere has garret-apiserver's whole
// certificate be somebody else's.
func TestGatewayBesideACertificateFromElsewhere(t *testing.T) {
	gateway := map[string]any{"enabled": true, "hostnames": []any{"g.example.com", "192.0.2.1", "2001:db8::1"}}
	const authority = "-----BEGIN CERTIFICATE-----\nx\n"
	all := objects(t, set("apiserver", map[string]any{"gateway": gateway, "certificate": map[string]any{"secretName": "given", "certificateAuthority": authority}}))
	if args := gatewayArgs(t, all); slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--gateway-hostname") }) || !slices.Contains(args, "--gateway") {
		t.Errorf("got %v, want the gateway and no names for a certificate that is given", args)
	}
	if data := find[*corev1.ConfigMap](t, all, tenancyv1.GatewayConfigMap).Data; data[tenancyv1.CAConfigMapKey] != authority || data[tenancyv1.GatewayCAKey] != "" {
		t.Errorf("published: %v, want the authority of the given certificate", data)
	}

	rendered, err := Render(set("apiserver", map[string]any{"gateway": gateway, "certificate": set("certManager", set("issuerRef", set("name", "ca")))}))
	if err != nil {
		t.Fatal(err)
	}
	_, certificate, found := strings.Cut(rendered, "kind: Certificate\n")
	certificate, _, _ = strings.Cut(certificate, "\n---\n")
	for _, want := range []string{"- garret-apiserver.garret-system.svc\n", `- "garret-gateway.garret-system.svc"`, `- "g.example.com"`, "ipAddresses:\n    - 192.0.2.1\n    - 2001:db8::1"} {
		if !found || !strings.Contains(certificate, want) {
			t.Errorf("the Certificate lacks %s:\n%s", want, certificate)
		}
	}
}

func TestGatewayServiceAndIngress(t *testing.T) {
	all := objects(t, gatewayValues(map[string]any{
		"hostnames": []any{"g.example.com"},
		"service":   map[string]any{"type": "NodePort", "port": 8443, "nodePort": 30443, "annotations": set("a", "b")},
		"ingress": map[string]any{"enabled": true, "className": "nginx", "host": "g.example.com",
			"annotations": set("nginx.ingress.kubernetes.io/ssl-passthrough", "true")},
	}))
	service, main := find[*corev1.Service](t, all, "garret-gateway"), find[*corev1.Service](t, all, "garret-apiserver")
	if port := service.Spec.Ports[0]; service.Spec.Type != corev1.ServiceTypeNodePort || port.Port != 8443 || port.NodePort != 30443 || service.Annotations["a"] != "b" {
		t.Errorf("the Service is %+v with %v", service.Spec, service.Annotations)
	}
	if main.Spec.Type != corev1.ServiceTypeClusterIP || main.Spec.Ports[0].Port != 443 {
		t.Errorf("the Service of the APIService has become %+v", main.Spec)
	}
	for key, value := range main.Spec.Selector {
		if service.Spec.Selector[key] != value {
			t.Errorf("selects %v, want garret-apiserver's pods: %v", service.Spec.Selector, main.Spec.Selector)
		}
	}
	ingress := find[*networkingv1.Ingress](t, all, "garret-gateway")
	backend := ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if *ingress.Spec.IngressClassName != "nginx" || ingress.Spec.Rules[0].Host != "g.example.com" || backend.Name != "garret-gateway" || backend.Port.Name != "https" ||
		ingress.Annotations["nginx.ingress.kubernetes.io/ssl-passthrough"] != "true" || ingress.Spec.TLS != nil {
		t.Errorf("the Ingress is %+v", ingress.Spec)
	}
}

func TestBadGatewayValues(t *testing.T) {
	for name, tc := range map[string]struct {
		values map[string]any
		want   string
	}{
		"a URL for a name":            {map[string]any{"hostnames": []any{"https://g.example.com"}}, "hostnames"},
		"a certificate for no name":   {map[string]any{"tlsSecretName": "given"}, "apiserver.gateway.hostnames"},
		"an Ingress for all hosts":    {map[string]any{"ingress": map[string]any{"enabled": true}}, "apiserver.gateway.ingress.host"},
		"an address in the clear":     {map[string]any{"url": "http://g.example.com"}, "url"},
		"an authority that is a name": {map[string]any{"certificateAuthority": "my-ca"}, "certificateAuthority"},
		"a port out of range":         {map[string]any{"service": set("port", 70000)}, "port"},
		"an unknown key":              {map[string]any{"host": "g.example.com"}, "host"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Render(gatewayValues(tc.values)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one that names %s", err, tc.want)
			}
		})
	}
}

func containsAll(list, want []string) bool {
	return !slices.ContainsFunc(want, func(item string) bool { return !slices.Contains(list, item) })
}

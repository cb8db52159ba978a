// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// TestControllerIsServedOverTLS: probes ask where metrics are guarded, and what
// is open there.
func TestControllerIsServedOverTLS(t *testing.T) {
	all := objects(t, nil)
	template := find[*appsv1.Deployment](t, all, "garret-controller").Spec.Template
	container := template.Spec.Containers[0]
	if len(container.Ports) != 1 || container.Ports[0].Name != "https" || container.Ports[0].ContainerPort != 8443 ||
		!slices.Contains(container.Args, "--secure-port=8443") {
		t.Errorf("got ports %v and flags %v, want https at 8443 alone", container.Ports, container.Args)
	}
	for path, probe := range map[string]*corev1.Probe{"/readyz": container.ReadinessProbe, "/livez": container.LivenessProbe} {
		if got := probe.HTTPGet; got.Path != path || got.Scheme != corev1.URISchemeHTTPS || got.Port.String() != "https" {
			t.Errorf("a probe asks %+v, want %s of https", got, path)
		}
	}
	service := find[*corev1.Service](t, all, "garret-controller")
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(template.Labels)) || service.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("the Service selects %v at %q, want each of the pods with %v", service.Spec.Selector, service.Spec.ClusterIP, template.Labels)
	}
}

// TestWhoAsksTheHost wants both programs to ask it who a caller is, by its own role for that.
func TestWhoAsksTheHost(t *testing.T) {
	all := objects(t, nil)
	for _, name := range []string{"garret-apiserver", "garret-controller"} {
		binding := find[*rbacv1.ClusterRoleBinding](t, all, name+":auth-delegator")
		want := rbacv1.Subject{Kind: "ServiceAccount", Name: name, Namespace: "garret-system"}
		if binding.RoleRef.Name != "system:auth-delegator" || !slices.Equal(binding.Subjects, []rbacv1.Subject{want}) {
			t.Errorf("%s binds %s to %v", binding.Name, binding.RoleRef.Name, binding.Subjects)
		}
	}
}

// TestControllerCertificate: a monitor verifies it wherever somebody else vouches for it.
func TestControllerCertificate(t *testing.T) {
	issuer := set("certManager", set("issuerRef", map[string]any{"name": "ca", "kind": "ClusterIssuer"}))
	for name, test := range map[string]struct {
		certificate map[string]any
		secret      string
		requested   bool
	}{
		"its own":           {map[string]any{}, "", false},
		"a Secret":          {set("secretName", "mine"), "mine", false},
		"from cert-manager": {issuer, "garret-controller-tls", true},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := Render(map[string]any{
				"controller": set("certificate", test.certificate), "metrics": set("monitors", set("enabled", true))})
			if err != nil {
				t.Fatal(err)
			}
			var kept []string
			var monitor, certificate string
			for _, document := range strings.Split(rendered, "\n---\n") {
				switch {
				case strings.Contains(document, "\nkind: Certificate\n"):
					certificate = document
				case !strings.Contains(document, "\nkind: ServiceMonitor\n"):
					kept = append(kept, document)
				case strings.Contains(document, "\n  name: garret-controller\n"):
					monitor = document
				}
			}
			pod := find[*appsv1.Deployment](t, decode(t, strings.Join(kept, "\n---\n")), "garret-controller").Spec.Template.Spec
			mounted := ""
			for _, volume := range pod.Volumes {
				if volume.Name == "tls" {
					mounted = volume.Secret.SecretName
				}
			}
			args := pod.Containers[0].Args
			flags := slices.Contains(args, "--tls-cert-file=/etc/garret/tls/tls.crt") && slices.Contains(args, "--tls-private-key-file=/etc/garret/tls/tls.key")
			if mounted != test.secret || flags != (test.secret != "") {
				t.Errorf("mounts %q, flags %t; want %q", mounted, flags, test.secret)
			}
			if (certificate != "") != test.requested || test.requested && !strings.Contains(certificate, "garret-controller.garret-system.svc") {
				t.Errorf("Certificate: got %q", certificate)
			}
			checkMonitor(t, monitor, test.secret)
		})
	}
}

// checkMonitor wants a monitor to send Prometheus' token over TLS, verified where it can be.
func checkMonitor(t *testing.T, document, secret string) {
	t.Helper()
	var monitor struct {
		Spec struct {
			Endpoints []struct {
				Port, Scheme, BearerTokenFile string
				TLSConfig                     struct {
					ServerName         string
					InsecureSkipVerify bool
					CA                 struct{ Secret struct{ Name, Key string } }
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(document), &monitor); err != nil || len(monitor.Spec.Endpoints) != 1 {
		t.Fatalf("ServiceMonitor: %v in %q, want one with an endpoint", err, document)
	}
	got := monitor.Spec.Endpoints[0]
	if got.Port != "https" || got.Scheme != "https" || got.BearerTokenFile == "" {
		t.Errorf("asks %s of port %s with token %q, want https with one", got.Scheme, got.Port, got.BearerTokenFile)
	}
	verifies := got.TLSConfig.ServerName == "garret-controller.garret-system.svc" && got.TLSConfig.CA.Secret.Name == secret &&
		got.TLSConfig.CA.Secret.Key == "ca.crt" && !got.TLSConfig.InsecureSkipVerify
	if secret != "" && !verifies {
		t.Errorf("does not verify the certificate of the Secret %s: %+v", secret, got.TLSConfig)
	}
	if secret == "" && !got.TLSConfig.InsecureSkipVerify {
		t.Errorf("verifies what nobody can: %+v", got.TLSConfig)
	}
}

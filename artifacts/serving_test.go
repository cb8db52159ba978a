// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"
)

// apiserver is the pod of garret-apiserver with these values of its own.
func apiserver(t *testing.T, values map[string]any) corev1.PodSpec {
	t.Helper()
	return find[*appsv1.StatefulSet](t, objects(t, set("apiserver", values)), "garret-apiserver").Spec.Template.Spec
}

// TestProbes: a pod gets requests when it is ready, and is restarted only for
// what a restart mends.
func TestProbes(t *testing.T) {
	container := apiserver(t, map[string]any{}).Containers[0]
	if got := container.ReadinessProbe.HTTPGet.Path; got != "/readyz" {
		t.Errorf("readiness asks %s, want /readyz", got)
	}
	if got := container.LivenessProbe.HTTPGet.Path; got != "/livez" {
		t.Errorf("liveness asks %s, want /livez", got)
	}
}

func TestShutdown(t *testing.T) {
	several := set("replicas", 2)
	several["datastore"] = set("endpointSecretName", "db")
	patient := set("shutdown", map[string]any{"delaySeconds": 7, "streamGraceSeconds": 600})
	for name, test := range map[string]struct {
		values map[string]any
		want   []string
		http2  bool
		grace  int64
	}{
		"one replica":      {map[string]any{}, []string{"--shutdown-delay-duration=0s", "--shutdown-stream-grace-period=10s"}, true, 30},
		"several replicas": {several, []string{"--shutdown-delay-duration=10s", "--shutdown-stream-grace-period=10s"}, false, 40},
		"patience":         {patient, []string{"--shutdown-delay-duration=7s", "--shutdown-stream-grace-period=600s"}, true, 627},
	} {
		t.Run(name, func(t *testing.T) {
			pod := apiserver(t, test.values)
			args := pod.Containers[0].Args
			for _, want := range test.want {
				if !slices.Contains(args, want) {
					t.Errorf("%s is not among %v", want, args)
				}
			}
			if got := !slices.Contains(args, "--disable-http2-serving"); got != test.http2 {
				t.Errorf("HTTP/2: got %t, want %t", got, test.http2)
			}
			if got := *pod.TerminationGracePeriodSeconds; got != test.grace {
				t.Errorf("the pod is killed after %d seconds, want %d", got, test.grace)
			}
		})
	}
}

// TestServingCertificate: files where somebody else makes the certificate, and
// nothing of ours in the APIService then.
func TestServingCertificate(t *testing.T) {
	const pem = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
	issuer := set("certManager", set("issuerRef", map[string]any{"name": "ca", "kind": "ClusterIssuer"}))
	for name, test := range map[string]struct {
		certificate            map[string]any
		secret, inject, bundle string
	}{
		"our own":           {nil, "", "", ""},
		"a Secret":          {map[string]any{"secretName": "mine", "certificateAuthority": pem}, "mine", "", pem},
		"publicly trusted":  {set("secretName", "mine"), "mine", "", ""},
		"from cert-manager": {issuer, "garret-apiserver-tls", "garret-system/garret-apiserver", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := Render(set("apiserver", set("certificate", test.certificate)))
			if test.certificate == nil {
				rendered, err = Render(nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			var kept []string
			var certificate string
			for _, document := range strings.Split(rendered, "\n---\n") {
				if strings.Contains(document, "\nkind: Certificate\n") {
					certificate = document
				} else {
					kept = append(kept, document)
				}
			}
			all := decode(t, strings.Join(kept, "\n---\n"))
			pod := find[*appsv1.StatefulSet](t, all, "garret-apiserver")
			mounted := ""
			if volume := volumeNamed(pod, "tls"); volume != nil {
				mounted = volume.Secret.SecretName
			}
			flags := slices.Contains(pod.Spec.Template.Spec.Containers[0].Args, "--tls-cert-file=/etc/garret/tls/tls.crt") &&
				slices.Contains(pod.Spec.Template.Spec.Containers[0].Args, "--tls-private-key-file=/etc/garret/tls/tls.key")
			if mounted != test.secret || flags != (test.secret != "") {
				t.Errorf("mounts %q, flags %t; want %q", mounted, flags, test.secret)
			}
			registration := find[*apiregistrationv1.APIService](t, all, "v1.tenancy.garret.dev")
			if got := registration.Annotations["cert-manager.io/inject-ca-from"]; got != test.inject {
				t.Errorf("cert-manager injects from %q, want %q", got, test.inject)
			}
			if got := string(registration.Spec.CABundle); got != test.bundle {
				t.Errorf("the bundle is %q, want %q", got, test.bundle)
			}
			if (certificate != "") != (test.inject != "") {
				t.Fatalf("Certificate: got %q", certificate)
			}
			if certificate == "" {
				return
			}
			var object struct {
				Spec struct {
					SecretName string
					IssuerRef  map[string]string
					DNSNames   []string
				}
			}
			if err := yaml.Unmarshal([]byte(certificate), &object); err != nil {
				t.Fatal(err)
			}
			if object.Spec.SecretName != test.secret || object.Spec.IssuerRef["name"] != "ca" || !slices.Contains(object.Spec.DNSNames, "garret-apiserver.garret-system.svc") {
				t.Errorf("got %+v", object.Spec)
			}
		})
	}
}

func TestObservability(t *testing.T) {
	all := objects(t, map[string]any{
		"logging": map[string]any{"format": "json", "verbosity": 2},
		"tracing": map[string]any{"endpoint": "collector.monitoring:4317", "samplingRatePerMillion": 100},
	})
	for name, template := range podTemplates(t, all) {
		if !strings.HasPrefix(name, "garret-") {
			continue
		}
		args := template.Spec.Containers[0].Args
		for _, want := range []string{"--logging-format=json", "--v=2", "--tracing-config-file=/etc/garret/tracing/tracing.yaml"} {
			if !slices.Contains(args, want) {
				t.Errorf("%s: %s is not among %v", name, want, args)
			}
		}
	}
	config := find[*corev1.ConfigMap](t, all, "garret-tracing").Data["tracing.yaml"]
	for _, want := range []string{"endpoint: collector.monitoring:4317", "samplingRatePerMillion: 100"} {
		if !strings.Contains(config, want) {
			t.Errorf("the configuration is %q, want %s in it", config, want)
		}
	}
	rendered, err := Render(set("metrics", set("monitors", set("enabled", true))))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kind: ServiceMonitor", "name: garret-metrics-reader"} {
		if !strings.Contains(rendered, want) {
			t.Errorf("%s is not rendered", want)
		}
	}
}

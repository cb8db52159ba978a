// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// authorityPEM is a certificate, as good as any.
func authorityPEM(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestUseGateway(t *testing.T) {
	authority := authorityPEM(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, []byte(authority), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := map[string]map[string]string{
		tenancyv1.GatewayConfigMap: {"url": "https://published.example.com", "ca-configmap": "garret-apiserver-ca"},
		tenancyv1.CAConfigMap:      {"ca.crt": "garret's own"},
	}
	for name, tc := range map[string]struct {
		published map[string]map[string]string
		args      []string
		// server and authority are what is written; wrong is a part of the error.
		server, authority, wrong string
	}{
		"published, with Garret's own certificate": {own, []string{"--gateway"}, "https://published.example.com", "garret's own", ""},
		"published, with an authority": {map[string]map[string]string{tenancyv1.GatewayConfigMap: {"url": "https://published.example.com", "ca.crt": "given"}},
			[]string{"--gateway"}, "https://published.example.com", "given", ""},
		"published, with what the machine trusts": {map[string]map[string]string{tenancyv1.GatewayConfigMap: {"url": "https://published.example.com"}},
			[]string{"--gateway"}, "https://published.example.com", "", ""},
		"a URL, verified with what is published": {own, []string{"--gateway=https://192.0.2.1:30443"}, "https://192.0.2.1:30443", "garret's own", ""},
		"a URL and a file":                       {own, []string{"--gateway=https://192.0.2.1:30443", "--gateway-certificate-authority", file}, "https://192.0.2.1:30443", authority, ""},
		"a URL, where nothing is published":      {nil, []string{"--gateway=https://192.0.2.1:30443"}, "https://192.0.2.1:30443", "", ""},
		"nothing is published":                   {nil, []string{"--gateway"}, "", "", "--gateway=https://HOST:PORT"},
		"no URL is published":                    {map[string]map[string]string{tenancyv1.GatewayConfigMap: {}}, []string{"--gateway"}, "", "", "--gateway=https://HOST:PORT"},
		"the authority is not there yet": {map[string]map[string]string{tenancyv1.GatewayConfigMap: {"ca-configmap": "garret-apiserver-ca"}},
			[]string{"--gateway=https://192.0.2.1"}, "", "", "--gateway-certificate-authority"},
		"in the clear":                 {own, []string{"--gateway=http://192.0.2.1"}, "", "", "https://HOST:PORT"},
		"a space before the URL":       {own, []string{"--gateway", "https://192.0.2.1"}, "", "", "--gateway=https://192.0.2.1"},
		"a file without a certificate": {own, []string{"--gateway", "--gateway-certificate-authority", garbage}, "", "", "holds no certificate"},
		"a file without the gateway":   {own, []string{"--gateway-certificate-authority", file}, "", "", "add --gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newHostAPI(t, ready())
			config := api.writeKubeconfig()
			if _, _, err := api.run("", config, "create", "vcluster", "demo", "--connect=false"); err != nil {
				t.Fatal(err)
			}
			api.published = tc.published
			_, told, err := api.run("", config, append([]string{"use", "vcluster", "demo"}, tc.args...)...)
			if tc.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wrong) || current(t, config) != "host" {
					t.Errorf("got %v in context %s, want an error with %q and no change", err, current(t, config), tc.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			written, err := clientcmd.LoadFromFile(config)
			if err != nil {
				t.Fatal(err)
			}
			cluster := written.Clusters[entered]
			if current(t, config) != entered || cluster.Server != tc.server+"/clusters/team-a/demo" || string(cluster.CertificateAuthorityData) != tc.authority {
				t.Errorf("the context %s leads to %s, verified with %q; want %s and %q", current(t, config), cluster.Server, cluster.CertificateAuthorityData, tc.server, tc.authority)
			}
			if !strings.Contains(told, tc.server) {
				t.Errorf("told %q, want the gateway in it", told)
			}
			// The commands still work on the host, and the way back leads there.
			if _, _, err := api.run("", config, "use", "vcluster", "demo"); err != nil {
				t.Fatal(err)
			}
			if written, err = clientcmd.LoadFromFile(config); err != nil || !strings.HasPrefix(written.Clusters[entered].Server, api.server.URL) {
				t.Errorf("without --gateway the context leads to %s (%v), want through the host", written.Clusters[entered].Server, err)
			}
		})
	}
}

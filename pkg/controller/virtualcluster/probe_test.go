// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// serving makes a certificate for a name, signed by itself, and its PEM.
func serving(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestProbe(t *testing.T) {
	right, authority := serving(t, "vc-demo.team.svc")
	other, _ := serving(t, "vc-demo.team.svc")
	misnamed, misnamedAuthority := serving(t, "vc-other.team.svc")
	tests := []struct {
		name        string
		certificate tls.Certificate
		authority   []byte
		status      int
		want        bool
	}{
		{"open", right, authority, http.StatusOK, true},
		{"asks for a credential", right, authority, http.StatusUnauthorized, true},
		{"refuses", right, authority, http.StatusForbidden, true},
		{"not ready", right, authority, http.StatusInternalServerError, false},
		{"sends elsewhere", right, authority, http.StatusFound, false},
		{"another's certificate", other, authority, http.StatusOK, false},
		{"another's name", misnamed, misnamedAuthority, http.StatusOK, false},
		{"authority not known yet", right, nil, http.StatusOK, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Error("the probe carries a credential")
				}
				w.Header().Set("Location", "https://127.0.0.1:1/")
				w.WriteHeader(test.status)
			}))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{test.certificate}}
			server.StartTLS()
			defer server.Close()
			var dialed string
			prober := TLSProber{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				dialed = address
				return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
			}}
			err := prober.Probe(t.Context(), object(1), "10.96.7.7", test.authority)
			if (err == nil) != test.want {
				t.Errorf("got %v, want an answer: %t", err, test.want)
			}
			if test.authority != nil && dialed != "10.96.7.7:443" {
				t.Errorf("dialed %q", dialed)
			}
		})
	}
}

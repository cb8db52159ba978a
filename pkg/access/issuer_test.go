// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access/accesstest"
)

func newTestIssuer(c *accesstest.Cluster) *Issuer { return NewIssuer(c.Dial, c.ClientCertificate) }

func TestIssue(t *testing.T) {
	c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
	credential, err := newTestIssuer(c).Kubeconfig(t.Context(), c.VirtualCluster, "alice", "", time.Hour, false)
	if err != nil {
		t.Fatalf("issue: %v", err)
	}
	leaf := credential.Certificate.Leaf
	if leaf.Subject.CommonName != "host:alice" || len(leaf.Subject.Organization) != 1 || leaf.Subject.Organization[0] != v1.KubeconfigPrefix+credential.ID {
		t.Errorf("subject is %s, want host:alice in a group of its own with the id %s", leaf.Subject, credential.ID)
	}
	if life := time.Until(credential.NotAfter()); life < 59*time.Minute || life > time.Hour {
		t.Errorf("lives %s, want an hour", life)
	}
	if credential.Serial() != leaf.SerialNumber.Text(16) {
		t.Errorf("serial is %s, want %x", credential.Serial(), leaf.SerialNumber)
	}
	key, err := credential.keyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(credential.certificatePEM(), key); err != nil {
		t.Errorf("certificate and key as PEM do not belong together: %v", err)
	}
}

// TestIssueRefusesPeer is about who is on the other end.
func TestIssueRefusesPeer(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*testing.T, *accesstest.Cluster)
		want string
	}{
		{
			name: "a server of another authority",
			set: func(t *testing.T, c *accesstest.Cluster) {
				c.Present(accesstest.NewAuthority(t, "server-ca").Server(time.Now().Add(time.Hour), "vc-demo.team.svc"))
			},
			want: "unknown authority",
		},
		{
			name: "a server of another name",
			set: func(t *testing.T, c *accesstest.Cluster) {
				c.Present(c.ServerCA.Server(time.Now().Add(time.Hour), "vc-other.team.svc"))
			},
			want: "vc-demo.team.svc",
		},
		{
			name: "a server whose certificate has expired",
			set: func(t *testing.T, c *accesstest.Cluster) {
				c.Present(c.ServerCA.Server(time.Now().Add(-time.Minute), "vc-demo.team.svc"))
			},
			want: "expired",
		},
		{
			name: "ourselves without garret-apiserver's certificate",
			set: func(t *testing.T, c *accesstest.Cluster) {
				c.Client = accesstest.NewAuthority(t, "garret-apiserver").Client(v1.APIServerUser)
			},
			want: "tls",
		},
		{
			name: "a cluster that has no authority",
			set: func(t *testing.T, c *accesstest.Cluster) {
				c.VirtualCluster.Status.CertificateAuthorityData = []byte("none")
			},
			want: "certificateAuthorityData",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
			tc.set(t, c)
			_, err := newTestIssuer(c).Relay(t.Context(), c.VirtualCluster, time.Hour)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "team/demo") {
				t.Errorf("got %v, want an error about team/demo and %q", err, tc.want)
			}
			if c.Issued() != 0 {
				t.Errorf("%d certificates were signed, want none", c.Issued())
			}
		})
	}
}

// TestIssueRefusesAnswer is about what the right issuer says.
func TestIssueRefusesAnswer(t *testing.T) {
	answer := func(code int, body string) func(*accesstest.Cluster) {
		return func(c *accesstest.Cluster) {
			c.Answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://elsewhere.example")
				w.WriteHeader(code)
				w.Write([]byte(body))
			}
		}
	}
	mangle := func(f func(*x509.Certificate)) func(*accesstest.Cluster) {
		return func(c *accesstest.Cluster) {
			c.Mangle = func(template *x509.Certificate) any { f(template); return nil }
		}
	}
	for _, tc := range []struct {
		name string
		set  func(*accesstest.Cluster)
		want string
	}{
		{"another user", mangle(func(x *x509.Certificate) { x.Subject.CommonName = "system:admin" }), "another subject"},
		{"a further group", mangle(func(x *x509.Certificate) { x.Subject.Organization = []string{"system:masters"} }), "another subject"},
		{"a longer life", mangle(func(x *x509.Certificate) { x.NotAfter = x.NotAfter.Add(24 * time.Hour) }), "lives longer"},
		{"a life that is over", mangle(func(x *x509.Certificate) {
			x.NotBefore, x.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), "expired"},
		{"a life that has not begun", mangle(func(x *x509.Certificate) { x.NotBefore = time.Now().Add(30 * time.Minute) }), "not valid before"},
		{"no use as a client", mangle(func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "client authentication"},
		{"an authority", mangle(func(x *x509.Certificate) { x.IsCA, x.BasicConstraintsValid = true, true }), "certificate authority"},
		{"another key", func(c *accesstest.Cluster) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			c.Mangle = func(*x509.Certificate) any { return key.Public() }
		}, "another key"},
		{"an answer without a certificate", answer(200, "{}"), "no certificate"},
		{"an answer that is no JSON", answer(200, "<html>"), "decode answer"},
		{"an answer without end", answer(200, strings.Repeat(" ", 1<<20)), "decode answer"},
		{"a certificate that is none", answer(200, `{"certificate":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="}`), "parse certificate"},
		{"a redirect", answer(307, ""), "Temporary Redirect"},
		{"a refusal", answer(403, `{"kind":"Status","status":"Failure","message":"not this subject","reason":"Forbidden","code":403}`), "not this subject"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
			tc.set(c)
			_, err := newTestIssuer(c).Relay(t.Context(), c.VirtualCluster, time.Hour)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error about %q", err, tc.want)
			}
		})
	}
}

// TestAddress holds against a status that names another place.
func TestAddress(t *testing.T) {
	cluster := &tenancy.VirtualCluster{}
	cluster.Namespace, cluster.Name = "team", "demo"
	cluster.Status.Endpoint = "https://169.254.169.254:80"
	if got, want := Address(cluster, v1.PortHTTPS), "vc-demo.team.svc:443"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

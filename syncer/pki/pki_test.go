// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/syncer/pki/pkitest"
)

func TestServingIsVerifiedByItsAuthority(t *testing.T) {
	dir := pkitest.NewDataDir(t)
	serving := NewServing(ServerAuthority(dir.Path), "server", []string{"10.1.2.3", "vc-demo.team.svc", ""}, testingclock.NewFakePassiveClock(time.Now()))
	certificate, err := serving.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"10.1.2.3", "vc-demo.team.svc"} {
		if _, err := certificate.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: dir.Server.Pool()}); err != nil {
			t.Errorf("as %s: %v", host, err)
		}
	}
	if _, err := certificate.Leaf.Verify(x509.VerifyOptions{DNSName: "other", Roots: dir.Server.Pool()}); err == nil {
		t.Error("verified as a host that it was not made for")
	}
	if _, err := certificate.Leaf.Verify(x509.VerifyOptions{Roots: dir.Server.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("a serving certificate is good for clients")
	}
}

func TestServingIsRenewed(t *testing.T) {
	dir := pkitest.NewDataDir(t)
	clock := testingclock.NewFakePassiveClock(time.Now())
	serving := NewServing(ServerAuthority(dir.Path), "server", []string{"localhost"}, clock)
	serial := func() string {
		t.Helper()
		certificate, err := serving.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Leaf.SerialNumber.String()
	}
	first := serial()
	if again := serial(); again != first {
		t.Errorf("another certificate at the same time")
	}
	clock.SetTime(clock.Now().Add(Validity * 7 / 10))
	second := serial()
	if second == first {
		t.Errorf("the certificate was not renewed after 70%% of its life")
	}
	dir.Server = pkitest.NewAuthority(t, "another server-ca")
	dir.Write(t)
	if serial() == second {
		t.Errorf("the certificate was not renewed with its authority")
	}
}

func TestAuthorityNeverOutlived(t *testing.T) {
	dir := pkitest.NewDataDir(t)
	der, err := ClientAuthority(dir.Path).Sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now(), NotAfter: time.Now().Add(1000 * 24 * time.Hour),
	}, dir.Server.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.NotAfter.After(dir.Client.Certificate.NotAfter) {
		t.Errorf("valid until %s, its authority until %s", certificate.NotAfter, dir.Client.Certificate.NotAfter)
	}
}

func TestAuthorityFiles(t *testing.T) {
	other := pkitest.NewAuthority(t, "other")
	for _, test := range []struct {
		name   string
		change func(t *testing.T, dir *pkitest.DataDir, crt, key string)
		want   string
	}{
		{"as they are", func(*testing.T, *pkitest.DataDir, string, string) {}, ""},
		{"the signing certificate is not the first", func(t *testing.T, dir *pkitest.DataDir, crt, _ string) {
			pkitest.WriteFile(t, crt, bytes.Join([][]byte{other.PEM(), dir.Client.PEM()}, nil))
		}, ""},
		{"certificate of another key", func(t *testing.T, _ *pkitest.DataDir, crt, _ string) {
			pkitest.WriteFile(t, crt, other.PEM())
		}, "none of 1 certificates belongs to"},
		{"no key", func(t *testing.T, _ *pkitest.DataDir, _, key string) {
			if err := os.Remove(key); err != nil {
				t.Fatal(err)
			}
		}, "no such file"},
		{"not a certificate", func(t *testing.T, _ *pkitest.DataDir, crt, _ string) {
			pkitest.WriteFile(t, crt, []byte("hello"))
		}, "client-ca.crt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := pkitest.NewDataDir(t)
			base := filepath.Join(dir.Path, "server", "tls", "client-ca")
			test.change(t, dir, base+".crt", base+".key")
			_, err := ClientAuthority(dir.Path).Sign(&x509.Certificate{NotAfter: time.Now().Add(time.Hour)}, other.Key.Public())
			if test.want == "" && err != nil {
				t.Errorf("got error %v, want none", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestPoolFollowsItsFile(t *testing.T) {
	first, second := pkitest.NewAuthority(t, "first"), pkitest.NewAuthority(t, "second, longer")
	file := filepath.Join(t.TempDir(), "ca.crt")
	pool := NewPool(file)
	if _, err := pool.Current(); err == nil {
		t.Error("a file that is not there gave a pool")
	}
	for _, authority := range []*pkitest.Authority{first, second} {
		pkitest.WriteFile(t, file, authority.PEM())
		got, err := pool.Current()
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(authority.Pool()) {
			t.Errorf("got another pool than the one of %q", authority.Certificate.Subject.CommonName)
		}
	}
	pkitest.WriteFile(t, file, []byte("nothing of use"))
	if _, err := pool.Current(); err == nil {
		t.Error("a file without certificates gave a pool")
	}
}

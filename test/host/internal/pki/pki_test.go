// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"os"
	"testing"
)

func open(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := OpenAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *Authority, leaf Leaf) (Pair, *x509.Certificate) {
	t.Helper()
	pair, err := a.Issue("leaf", leaf)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := readCertificate(pair.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return pair, cert
}

func TestIssuedCertificatesVerify(t *testing.T) {
	for name, tt := range map[string]struct {
		leaf  Leaf
		host  string
		usage x509.ExtKeyUsage
		valid bool
	}{
		"client as client":       {Leaf{CommonName: "jane", Organizations: []string{"readers"}}, "", x509.ExtKeyUsageClientAuth, true},
		"client as server":       {Leaf{CommonName: "jane"}, "", x509.ExtKeyUsageServerAuth, false},
		"server by name":         {Leaf{CommonName: "api", Hosts: []string{"kubernetes", "10.0.0.1"}}, "kubernetes", x509.ExtKeyUsageServerAuth, true},
		"server by address":      {Leaf{CommonName: "api", Hosts: []string{"kubernetes", "10.0.0.1"}}, "10.0.0.1", x509.ExtKeyUsageServerAuth, true},
		"server by another name": {Leaf{CommonName: "api", Hosts: []string{"kubernetes"}}, "elsewhere", x509.ExtKeyUsageServerAuth, false},
		"server as client":       {Leaf{CommonName: "api", Hosts: []string{"kubernetes"}}, "", x509.ExtKeyUsageClientAuth, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, t.TempDir())
			_, cert := issue(t, a, tt.leaf)
			roots := x509.NewCertPool()
			roots.AddCert(a.cert)
			_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: tt.host, KeyUsages: []x509.ExtKeyUsage{tt.usage}})
			if (err == nil) != tt.valid {
				t.Errorf("got %v, want valid: %t", err, tt.valid)
			}
			if cert.Subject.CommonName != tt.leaf.CommonName {
				t.Errorf("common name: got %q, want %q", cert.Subject.CommonName, tt.leaf.CommonName)
			}
		})
	}
}

func TestIssueKeepsWhatStillFits(t *testing.T) {
	first := Leaf{CommonName: "api", Organizations: []string{"o"}, Hosts: []string{"a"}}
	for name, tt := range map[string]struct {
		second Leaf
		kept   bool
	}{
		"the same":             {first, true},
		"another name":         {Leaf{CommonName: "other", Organizations: []string{"o"}, Hosts: []string{"a"}}, false},
		"another organization": {Leaf{CommonName: "api", Organizations: []string{"p"}, Hosts: []string{"a"}}, false},
		"one host more":        {Leaf{CommonName: "api", Organizations: []string{"o"}, Hosts: []string{"a", "b"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, before := issue(t, open(t, dir), first)
			// Opened again, as by another process.
			_, after := issue(t, open(t, dir), tt.second)
			if kept := before.Equal(after); kept != tt.kept {
				t.Errorf("kept: got %t, want %t", kept, tt.kept)
			}
		})
	}
}

func TestKeysArePrivate(t *testing.T) {
	dir := t.TempDir()
	pair, _ := issue(t, open(t, dir), Leaf{CommonName: "jane"})
	private, _, err := OpenKeyPair(dir, "service-account")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pair.Key, private, open(t, dir).KeyFile()} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: got mode %o, want 600", file, got)
		}
	}
}

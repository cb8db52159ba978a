// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

const day = 24 * time.Hour

func testIdentity() Identity {
	return Identity{
		DNSNames:    []string{"garret-apiserver.garret-system.svc", "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ClientName:  v1.APIServerUser,
	}
}

func mustRenew(t *testing.T, now time.Time, old *Material, lives Lives) (*Material, bool) {
	t.Helper()
	m, changed, err := Renew(now, old, lives, testIdentity())
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	return m, changed
}

// verify checks a leaf against what was published, as a client does.
func verify(t *testing.T, what string, leaf *x509.Certificate, published []*x509.Certificate, now time.Time, usage x509.ExtKeyUsage) {
	t.Helper()
	roots := x509.NewCertPool()
	for _, authority := range published {
		roots.AddCert(authority)
	}
	options := x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}
	if usage == x509.ExtKeyUsageServerAuth {
		options.DNSName = "garret-apiserver.garret-system.svc"
	}
	if _, err := leaf.Verify(options); err != nil {
		t.Fatalf("%s at %s: %v", what, now.Format(time.DateOnly), err)
	}
}

// TestMoreNames has garret-apiserver learn another name, and a replica that does
// not know it yet meet the new certificate.
func TestMoreNames(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	before, _ := mustRenew(t, now, nil, DefaultLives())
	wanted := testIdentity()
	wanted.DNSNames = append(wanted.DNSNames, "garret.example.com")
	wanted.IPAddresses = append(wanted.IPAddresses, net.ParseIP("192.0.2.1"))
	after, changed, err := Renew(now, before, DefaultLives(), wanted)
	if err != nil || !changed || after.Client != before.Client {
		t.Fatalf("changed %t, %v; want a new serving certificate and nothing else", changed, err)
	}
	for _, name := range []string{"garret.example.com", "192.0.2.1", "localhost"} {
		if err := after.Serving.Certificate.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if _, changed := mustRenew(t, now, after, DefaultLives()); changed {
		t.Error("who wants fewer names made another certificate; so would the next, in turn")
	}
}

// TestLongRun goes through the lives of several authorities, half a day at a
// time, with somebody who learns about a new bundle two days late.
func TestLongRun(t *testing.T) {
	const late = 2 * day
	lives := Lives{Authority: 365 * day, Overlap: 7 * day, Leaf: 30 * day}
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	type publication struct {
		at     time.Time
		bundle []*x509.Certificate
	}
	var known []publication
	var m *Material
	authorities := map[string]bool{}
	for now := start; now.Before(start.Add(3 * lives.Authority)); now = now.Add(11 * time.Hour) {
		next, changed := mustRenew(t, now, m, lives)
		if changed {
			known = append(known, publication{now, next.Bundle()})
		}
		m = next
		authorities[m.Authority.Certificate.Subject.CommonName] = true

		old := known[0].bundle
		for _, p := range known {
			if !p.at.After(now.Add(-late)) {
				old = p.bundle
			}
		}
		verify(t, "serving certificate", m.Serving.Certificate, old, now, x509.ExtKeyUsageServerAuth)
		verify(t, "client certificate", m.Client.Certificate, old, now, x509.ExtKeyUsageClientAuth)
		if left := m.Serving.Certificate.NotAfter.Sub(now); left < lives.Leaf/3-11*time.Hour {
			t.Fatalf("the serving certificate has only %s left at %s", left, now)
		}
	}
	if len(authorities) < 3 {
		t.Errorf("%d authorities in three lives, want at least 3", len(authorities))
	}
	if len(m.Predecessors) > 1 {
		t.Errorf("%d predecessors are published, want those that have ended gone", len(m.Predecessors))
	}
}

func TestRenew(t *testing.T) {
	lives := DefaultLives()
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	first, changed := mustRenew(t, start, nil, lives)
	if !changed {
		t.Fatal("nothing was made at first")
	}
	if first.Client.Certificate.Subject.CommonName != v1.APIServerUser {
		t.Errorf("the client certificate is for %q, want %q", first.Client.Certificate.Subject.CommonName, v1.APIServerUser)
	}
	for name, test := range map[string]struct {
		after         time.Duration
		change        func(*Material)
		leaf, ca, any bool
	}{
		"soon":               {after: day},
		"before the third":   {after: 19 * day},
		"after two thirds":   {after: 21 * day, leaf: true, any: true},
		"leaf expired":       {after: 40 * day, leaf: true, any: true},
		"authority expired":  {after: 4000 * day, leaf: true, ca: true, any: true},
		"no serving pair":    {change: func(m *Material) { m.Serving = nil }, leaf: true, any: true},
		"no client pair":     {change: func(m *Material) { m.Client = nil }, any: true},
		"another authority":  {change: func(m *Material) { m.Authority, _ = newAuthority(start, lives.Authority) }, leaf: true, ca: true, any: true},
		"successor due":      {after: 3000 * day, leaf: true, any: true},
		"client for serving": {change: func(m *Material) { m.Client = m.Serving }, any: true},
	} {
		t.Run(name, func(t *testing.T) {
			old := *first
			if test.change != nil {
				test.change(&old)
			}
			m, changed := mustRenew(t, start.Add(test.after), &old, lives)
			if changed != test.any {
				t.Errorf("changed: got %v, want %v", changed, test.any)
			}
			if got := m.Serving != first.Serving; got != test.leaf {
				t.Errorf("serving certificate replaced: got %v, want %v", got, test.leaf)
			}
			if got := m.Authority != first.Authority; got != test.ca {
				t.Errorf("authority replaced: got %v, want %v", got, test.ca)
			}
		})
	}
}

func TestSecretHoldsEverything(t *testing.T) {
	lives := DefaultLives()
	start := time.Now()
	m, _ := mustRenew(t, start, nil, lives)
	m, _ = mustRenew(t, start.Add(3000*day), m, lives) // now with a successor
	m.Predecessors = []*x509.Certificate{m.Serving.Certificate}
	data, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !same(m, got) || got.Successor == nil {
		t.Errorf("what was read is not what was written")
	}
	again, err := encode(got)
	if err != nil {
		t.Fatal(err)
	}
	for name := range data {
		if !bytes.Equal(data[name], again[name]) {
			t.Errorf("%s changed on the way", name)
		}
	}
}

func TestBrokenSecrets(t *testing.T) {
	m, _ := mustRenew(t, time.Now(), nil, DefaultLives())
	for name, test := range map[string]struct {
		change func(map[string][]byte)
		want   string // empty: the authority is kept, and the leaf made again
	}{
		"empty":              {func(d map[string][]byte) { clear(d) }, "no certificate authority"},
		"not PEM":            {func(d map[string][]byte) { d["ca.crt"] = []byte("x") }, "ca: the certificate is not PEM"},
		"no key":             {func(d map[string][]byte) { delete(d, "ca.key") }, "ca: the key is not PEM"},
		"key of another":     {func(d map[string][]byte) { d["ca.key"] = d["client.key"] }, "ca: certificate and key do not belong together"},
		"certificate as key": {func(d map[string][]byte) { d["ca.key"] = d["ca.crt"] }, "ca: the key is not a PKCS#8 key"},
		"a leaf as authority": {func(d map[string][]byte) { d["ca.crt"], d["ca.key"] = d["tls.crt"], d["tls.key"] },
			"ca: the certificate is not that of an authority"},
		"leaf without a key":    {func(d map[string][]byte) { delete(d, "tls.key") }, ""},
		"leaf with another key": {func(d map[string][]byte) { d["tls.key"] = d["client.key"] }, ""},
		"garbled leaf":          {func(d map[string][]byte) { d["tls.crt"] = []byte("x") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := encode(m)
			if err != nil {
				t.Fatal(err)
			}
			test.change(data)
			got, err := decode(data)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			mended, changed := mustRenew(t, time.Now(), got, DefaultLives())
			if !changed || !mended.Authority.Certificate.Equal(m.Authority.Certificate) || mended.Serving.Certificate.Equal(m.Serving.Certificate) {
				t.Error("want another serving certificate of the same authority")
			}
		})
	}
}

// TestClocksApart has a replica whose clock is ahead renew, and one whose clock
// is right find what it made.
func TestClocksApart(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	lives := DefaultLives()
	made, _ := mustRenew(t, now, nil, lives)
	for ahead, again := range map[time.Duration]bool{30 * time.Minute: false, 25 * day: true} {
		fast, changed := mustRenew(t, now.Add(ahead), made, lives)
		if changed != again {
			t.Fatalf("%s ahead: renewed %t, want %t", ahead, changed, again)
		}
		right, changed := mustRenew(t, now, fast, lives)
		verify(t, "serving certificate", right.Serving.Certificate, made.Bundle(), now, x509.ExtKeyUsageServerAuth)
		if changed != again {
			t.Errorf("%s ahead: made anew by the right clock %t, want %t: what is not valid yet must not be served", ahead, changed, again)
		}
		if _, changed := mustRenew(t, now.Add(10*day), right, lives); changed {
			t.Error("and made anew once more by one that is less ahead, which would go on forever")
		}
	}
	// An authority that is not there yet for others would break everything: it begins an hour early.
	if begin := made.Authority.Certificate.NotBefore; now.Sub(begin) < time.Hour {
		t.Errorf("the authority begins at %s, want an hour before it was made", begin)
	}
}

func TestExpiredAuthorityGivesWayToItsSuccessor(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	lives := DefaultLives()
	first, _ := mustRenew(t, now, nil, lives)
	both, _ := mustRenew(t, now.Add(lives.Authority*9/10), first, lives)
	after, _ := mustRenew(t, now.Add(lives.Authority+day), both, lives)
	if both.Successor == nil || !after.Authority.Certificate.Equal(both.Successor.Certificate) {
		t.Error("another authority than the one that was published as the successor")
	}
}

func TestBundleHoldsNoKey(t *testing.T) {
	m, _ := mustRenew(t, time.Now(), nil, DefaultLives())
	for block, rest := pem.Decode(encodeCertificates(m.Bundle()...)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			t.Errorf("the bundle holds a %s", block.Type)
		}
	}
	if !slices.ContainsFunc(m.Bundle(), m.Authority.Certificate.Equal) {
		t.Error("the bundle lacks the authority")
	}
}

package datadir

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
)

var start = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

func newLayout(t *testing.T) Layout {
	t.Helper()
	l, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ensure(t *testing.T, l Layout, now time.Time, sans ...string) []string {
	t.Helper()
	issued, err := l.EnsureCredentials(sans, now)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func certificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	certs, err := cert.CertsFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

func TestServingCertificate(t *testing.T) {
	l := newLayout(t)
	ensure(t, l, start, "localhost", "127.0.0.1", "vc-demo.ns.svc", "10.43.0.1", "10.43.0.1", "")
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, l.Cert(ServerCA)))
	serving := certificate(t, l.Cert(ServingAPIServer))
	for _, name := range []string{"localhost", "127.0.0.1", "vc-demo.ns.svc", "10.43.0.1"} {
		if _, err := serving.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: start}); err != nil {
			t.Errorf("serving certificate for %s: %v", name, err)
		}
	}
	if err := serving.VerifyHostname("other.ns.svc"); err == nil {
		t.Error("serving certificate also names other.ns.svc")
	}
	if got, want := serving.NotAfter, start.Add(leafLife); !got.Equal(want) {
		t.Errorf("serving certificate ends %v, want %v", got, want)
	}
}

func TestClientCertificatesNameWhoTheyAre(t *testing.T) {
	l := newLayout(t)
	ensure(t, l, start)
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, l.Cert(ClientCA)))
	for name, want := range map[string]struct {
		user   string
		groups []string
	}{
		ClientAdmin:      {"system:admin", []string{"system:masters"}},
		ClientController: {"system:kube-controller-manager", nil},
		ClientScheduler:  {"system:kube-scheduler", nil},
	} {
		c := certificate(t, l.Cert(name))
		if c.Subject.CommonName != want.user || !slices.Equal(c.Subject.Organization, want.groups) {
			t.Errorf("%s: got %s in %v, want %s in %v", name, c.Subject.CommonName, c.Subject.Organization, want.user, want.groups)
		}
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPIServerIsNobodyToItself has the certificate towards kubelets be of an authority
// that the API server does not believe, and that no client takes for the API server's.
func TestAPIServerIsNobodyToItself(t *testing.T) {
	l := newLayout(t)
	ensure(t, l, start)
	// An earlier release had one of an administrator's, of the same key.
	earlier := leaf{name: ClientAPIServer, authority: ClientCA, commonName: "system:apiserver", organizations: []string{"system:masters"}}
	clients, err := l.authority(ClientCA, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ensureLeaf(earlier, clients, start); err != nil {
		t.Fatal(err)
	}
	pinned, err := l.CA(ServerCA)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{l.Cert(KubeletCA), l.Key(KubeletCA)} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if issued := ensure(t, l, start); !slices.Equal(issued, []string{ClientAPIServer}) {
		t.Errorf("issued after an earlier release: got %v, want %s alone", issued, ClientAPIServer)
	}
	if now, _ := l.CA(ServerCA); !bytes.Equal(now, pinned) {
		t.Error("the authority of servers was replaced")
	}
	c := certificate(t, l.Cert(ClientAPIServer))
	if c.Subject.CommonName != "kube-apiserver-kubelet-client" || len(c.Subject.Organization) > 0 {
		t.Errorf("towards kubelets: got %s, want a name in no group", c.Subject)
	}
	for name, want := range map[string]bool{KubeletCA: true, ClientCA: false, ServerCA: false, RequestHeaderCA: false} {
		roots := x509.NewCertPool()
		roots.AddCert(certificate(t, l.Cert(name)))
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); (err == nil) != want {
			t.Errorf("verified by %s: got %v, want %t", name, err, want)
		}
	}
}

func TestIssuedOnlyWhenNeeded(t *testing.T) {
	all := len(leaves(nil))
	tests := map[string]struct {
		later  time.Duration
		sans   []string
		remove string
		want   int
	}{
		"an hour later":            {later: time.Hour, sans: []string{"a"}, want: 0},
		"275 days later":           {later: 274 * 24 * time.Hour, sans: []string{"a"}, want: 0},
		"with 89 days left":        {later: 276 * 24 * time.Hour, sans: []string{"a"}, want: all},
		"another name":             {sans: []string{"a", "b"}, want: 1},
		"a certificate is missing": {sans: []string{"a"}, remove: "client-admin.crt", want: 1},
		"a key is missing":         {sans: []string{"a"}, remove: "client-admin.key", want: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLayout(t)
			if issued := ensure(t, l, start, "a"); len(issued) != all {
				t.Fatalf("first start issued %v, want %d certificates", issued, all)
			}
			ca, err := l.CA(ServerCA)
			if err != nil {
				t.Fatal(err)
			}
			if tc.remove != "" {
				if err := os.Remove(filepath.Join(l.TLS(), tc.remove)); err != nil {
					t.Fatal(err)
				}
			}
			if issued := ensure(t, l, start.Add(tc.later), tc.sans...); len(issued) != tc.want {
				t.Errorf("issued %v, want %d certificates", issued, tc.want)
			}
			if again, _ := l.CA(ServerCA); !bytes.Equal(ca, again) {
				t.Error("the authority was replaced")
			}
		})
	}
}

func TestOperatorsAuthoritiesAreUsed(t *testing.T) {
	theirs, ours := newLayout(t), newLayout(t)
	ensure(t, theirs, start)
	for _, name := range []string{"server-ca.crt", "server-ca.key"} {
		raw, err := os.ReadFile(filepath.Join(theirs.TLS(), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(ours.TLS(), name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, ours, start, "a")
	if err := certificate(t, ours.Cert(ServingAPIServer)).CheckSignatureFrom(certificate(t, theirs.Cert(ServerCA))); err != nil {
		t.Errorf("the serving certificate is not signed by the operator's authority: %v", err)
	}
}

func TestHalfAnAuthorityIsAnError(t *testing.T) {
	for _, missing := range []string{"client-ca.crt", "client-ca.key"} {
		t.Run(missing, func(t *testing.T) {
			l := newLayout(t)
			ensure(t, l, start)
			if err := os.Remove(filepath.Join(l.TLS(), missing)); err != nil {
				t.Fatal(err)
			}
			if _, err := l.EnsureCredentials(nil, start); err == nil || !strings.Contains(err.Error(), "client-ca") {
				t.Errorf("got error %v, want one that names client-ca", err)
			}
		})
	}
}

func TestInterruptedFirstStartIsRepeated(t *testing.T) {
	l := newLayout(t)
	// As a kill leaves it between the key and the certificate.
	for name, content := range map[string]string{".client-ca.incomplete": "", "client-ca.key": "half"} {
		if err := os.WriteFile(filepath.Join(l.TLS(), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, l, start)
}

func TestIdentityMovesToAnotherServer(t *testing.T) {
	first, second := newLayout(t), newLayout(t)
	ensure(t, first, start)
	ensure(t, second, start)
	identity, err := first.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := second.AdoptIdentity(identity); err != nil {
		t.Fatal(err)
	}
	if issued := ensure(t, second, start); len(issued) != len(leaves(nil))-1 || slices.Contains(issued, ClientAPIServer) {
		t.Errorf("issued %v, want every certificate anew but for the one towards the server's own kubelets", issued)
	}
	for _, name := range []string{ServerCA, ClientCA, RequestHeaderCA} {
		a, _ := first.CA(name)
		if b, _ := second.CA(name); !bytes.Equal(a, b) {
			t.Errorf("%s differs", name)
		}
	}
	delete(identity, "service.key")
	if err := second.AdoptIdentity(identity); err == nil {
		t.Error("an identity without its service key was adopted")
	}
}

func TestAdminKubeconfig(t *testing.T) {
	l := newLayout(t)
	ensure(t, l, start)
	out := Output{Path: filepath.Join(t.TempDir(), "kubeconfig"), Mode: 0o640, Context: "demo"}
	if err := l.WriteAdminKubeconfig(out, "https://127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(out.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %o, want 640", info.Mode().Perm())
	}
	config, err := clientcmd.LoadFromFile(out.Path)
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "demo" || config.Clusters["demo"].Server != "https://127.0.0.1:6443" || len(config.AuthInfos["demo"].ClientKeyData) == 0 {
		t.Errorf("got context %q, clusters %v", config.CurrentContext, config.Clusters)
	}
}

func TestTokens(t *testing.T) {
	l := newLayout(t)
	ensure(t, l, start)
	made, err := l.Passphrase("")
	if err != nil || len(made) != 32 {
		t.Fatalf("got passphrase %q, error %v, want 32 digits", made, err)
	}
	if err := l.WriteTokens(made); err != nil {
		t.Fatal(err)
	}
	full, err := os.ReadFile(l.Token())
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{"", made, strings.TrimSpace(string(full))} {
		if again, err := l.Passphrase(given); err != nil || again != made {
			t.Errorf("token %q: got %q, error %v, want %q", given, again, err, made)
		}
	}
	if _, err := l.Passphrase("another"); err == nil {
		t.Error("another token was accepted")
	}
}

func TestLockIsExclusive(t *testing.T) {
	l := newLayout(t)
	lock, err := l.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lock(); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("second lock: got error %v", err)
	}
	lock.Close()
	again, err := l.Lock()
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	again.Close()
}

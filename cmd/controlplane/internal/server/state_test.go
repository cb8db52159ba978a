package server

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
	"garret.dev/garret/cmd/controlplane/internal/flags"
)

// TestRenewalReachesTheKubeconfig lets a year go by.
func TestRenewalReachesTheKubeconfig(t *testing.T) {
	dir := t.TempDir()
	f := &flags.Server{HTTPSListenPort: 6443, WriteKubeconfig: filepath.Join(dir, "kubeconfig")}
	s := New(f)
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	s.now = func() time.Time { return now }
	var err error
	if s.layout, err = datadir.New(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.renewOnce(context.Background()); err != nil {
		t.Fatal(err)
	}
	first := adminCertificate(t, f.WriteKubeconfig)
	for day := range 400 {
		now = now.Add(24 * time.Hour)
		if err := s.renewOnce(context.Background()); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
		if left := adminCertificate(t, f.WriteKubeconfig).NotAfter.Sub(now); left < 80*24*time.Hour {
			t.Fatalf("day %d: the kubeconfig's certificate has %v left", day, left)
		}
	}
	if last := adminCertificate(t, f.WriteKubeconfig); last.Equal(first) {
		t.Error("the kubeconfig still holds its first certificate")
	}
}

func adminCertificate(t *testing.T, kubeconfig string) *x509.Certificate {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(config.AuthInfos["default"].ClientCertificateData)
	if block == nil {
		t.Fatal("the kubeconfig holds no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

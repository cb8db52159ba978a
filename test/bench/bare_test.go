// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// bareStart gives the time until /readyz of a bare control plane answers.
func bareStart(b *testing.B) time.Duration {
	elapsed, parts := startBare(b)
	for _, part := range parts {
		_ = part.End(os.Kill)
	}
	return elapsed
}

// startBare brings up etcd and kube-apiserver, with nothing around them, on loopback.
// They run until the benchmark ends them, or is over.
func startBare(b *testing.B) (time.Duration, []*framework.Process) {
	dir := b.TempDir()
	key := filepath.Join(dir, "service.key")
	writeKey(b, key)
	client, peer, api := freePort(b), freePort(b), freePort(b)
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", client)
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", peer)

	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	etcd := startPart(b, dir, "etcd", "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls="+peerURL, "--initial-advertise-peer-urls="+peerURL, "--initial-cluster=default="+peerURL, "--unsafe-no-fsync")
	apiServer := startPart(b, dir, "kube-apiserver", "--etcd-servers="+etcdURL, "--cert-dir="+filepath.Join(dir, "certs"), "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", api), "--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://bench",
		"--service-account-key-file="+key, "--service-account-signing-key-file="+key, "--authorization-mode=Node,RBAC")
	waitReady(ctx, b, filepath.Join(dir, "certs", "apiserver.crt"), fmt.Sprintf("https://127.0.0.1:%d/readyz", api))
	return time.Since(start), []*framework.Process{apiServer, etcd}
}

// startPart runs a part of Kubernetes.
func startPart(b *testing.B, dir, part string, args ...string) *framework.Process {
	process, err := framework.Start(filepath.Join(dir, "logs", part), "kube", append([]string{part}, args...)...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = process.End(os.Kill) })
	return process
}

// waitReady asks until the answer is 200, trusting the certificate that the
// server wrote for itself.
func waitReady(ctx context.Context, b *testing.B, certificate, url string) {
	for {
		if err := ask(ctx, certificate, url); err == nil {
			return
		} else if ctx.Err() != nil {
			b.Fatalf("the bare kube-apiserver is not ready: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, certificate, url string) error {
	ca, err := os.ReadFile(certificate)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

func freePort(b *testing.B) int {
	port, err := framework.FreePort()
	if err != nil {
		b.Fatal(err)
	}
	return port
}

func writeKey(b *testing.B, path string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		b.Fatal(err)
	}
}

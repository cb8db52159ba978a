// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accesstest is for tests. On loopback, it serves what stands behind the Service of a
// virtual cluster: an issuer that signs certificates under mutual TLS, and an API server's
// front that authenticates them. Both use real TLS with their own authorities; the test decides
// what the API server answers.
package accesstest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Cluster is one virtual cluster, as it is seen from the way in.
type Cluster struct {
	// VirtualCluster is Ready and carries the server authority.
	VirtualCluster *tenancy.VirtualCluster
	// ServerCA signed the serving certificates, ClientCA signs what the issuer
	// issues, and HostCA signed garret-apiserver's client certificate.
	ServerCA, ClientCA, HostCA *Authority
	// Client is garret-apiserver's client certificate.
	Client tls.Certificate
	// ClusterRoles are those that a kubeconfig can be held to.
	ClusterRoles []string
	// Now is the time at which the issuer signs and the API server verifies.
	Now func() time.Time
	// Mangle may change a certificate before it is signed. What it returns, when
	// not nil, is the key to certify instead of the request's.
	Mangle func(*x509.Certificate) any
	// Answer replaces the issuer's answer when it is set.
	Answer http.HandlerFunc

	issued, connections atomic.Int64
	api, issuer         net.Listener
	mu                  sync.Mutex
	handler             http.Handler
	serving             tls.Certificate
}

// New serves a virtual cluster until the test ends. The handler answers
// authenticated requests to its API server.
func New(tb testing.TB, namespace, name string, handler http.Handler) *Cluster {
	tb.Helper()
	c := &Cluster{
		ServerCA: NewAuthority(tb, "server-ca"), ClientCA: NewAuthority(tb, "client-ca"), HostCA: NewAuthority(tb, "garret-apiserver"),
		Now: time.Now, handler: handler,
	}
	c.Client = c.HostCA.Client(v1.APIServerUser)
	c.serving = c.ServerCA.Server(time.Now().Add(time.Hour), v1.ServerName(name, namespace))
	c.VirtualCluster = &tenancy.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "2f2a9d3c-0000-4000-8000-000000000001"},
		Status: tenancy.VirtualClusterStatus{
			Phase: tenancy.Phase(v1.PhaseReady),
			Conditions: []metav1.Condition{
				{Type: v1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready"},
				{Type: v1.ConditionControlPlaneReady, Status: metav1.ConditionTrue, Reason: "Ready"},
			},
			CertificateAuthorityData: c.ServerCA.PEM(),
		},
	}
	c.api = c.serve(tb, http.HandlerFunc(c.serveAPI), &tls.Config{ClientAuth: tls.RequestClientCert})
	c.issuer = c.serve(tb, http.HandlerFunc(c.serveIssuer), &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.HostCA.Pool()})
	return c
}

// Dial connects to the Service of this virtual cluster, and to nothing else.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host := v1.ServerName(c.VirtualCluster.Name, c.VirtualCluster.Namespace)
	var listener net.Listener
	switch address {
	case fmt.Sprintf("%s:%d", host, v1.PortHTTPS):
		listener = c.api
	case fmt.Sprintf("%s:%d", host, v1.PortIssuer):
		listener = c.issuer
	default:
		return nil, fmt.Errorf("dialled %s, which is not an address of %s", address, host)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, listener.Addr().String())
}

// ClientCertificate provides garret-apiserver's client certificate.
func (c *Cluster) ClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return &c.Client, nil
}

// Issued is how many certificates were signed.
func (c *Cluster) Issued() int64 { return c.issued.Load() }

// Close stops both servers from accepting connections.
func (c *Cluster) Close() {
	c.api.Close()
	c.issuer.Close()
}

// Connections is how many connections were made to the API server.
func (c *Cluster) Connections() int64 { return c.connections.Load() }

// Present replaces the serving certificate of both servers.
func (c *Cluster) Present(certificate tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving = certificate
}

func (c *Cluster) serve(tb testing.TB, handler http.Handler, config *tls.Config) net.Listener {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return &c.serving, nil
	}
	server := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: discard(), ReadHeaderTimeout: time.Minute}
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew && config.ClientAuth == tls.RequestClientCert {
			c.connections.Add(1)
		}
	}
	go server.ServeTLS(listener, "", "")
	tb.Cleanup(func() { server.Close() })
	return listener
}

// serveAPI authenticates as a kube-apiserver does: a certificate is verified on
// each request, and one that does not verify is 401.
func (c *Cluster) serveAPI(w http.ResponseWriter, req *http.Request) {
	if len(req.TLS.PeerCertificates) == 0 {
		refuse(w, http.StatusUnauthorized, "no client certificate")
		return
	}
	leaf := req.TLS.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.ClientCA.Pool(), CurrentTime: c.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil || leaf.Subject.CommonName != v1.RelayUser {
		refuse(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	c.mu.Lock()
	handler := c.handler
	c.mu.Unlock()
	handler.ServeHTTP(w, req)
}

func (c *Cluster) serveIssuer(w http.ResponseWriter, req *http.Request) {
	if c.Answer != nil {
		c.Answer(w, req)
		return
	}
	var request v1.CertificateRequest
	if req.Method != http.MethodPost || req.URL.Path != v1.IssuerPath || json.NewDecoder(req.Body).Decode(&request) != nil {
		refuse(w, http.StatusBadRequest, "not a certificate request")
		return
	}
	block, _ := pem.Decode(request.Request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		refuse(w, http.StatusBadRequest, "not a PEM encoded certificate request")
		return
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		refuse(w, http.StatusBadRequest, "not a signed certificate request")
		return
	}
	if !mayIssue(csr, request.Kubeconfig) {
		refuse(w, http.StatusForbidden, "subject "+csr.Subject.String()+" is not issued")
		return
	}
	if grant := request.Kubeconfig; grant != nil && grant.ClusterRole != "" && !slices.Contains(c.ClusterRoles, grant.ClusterRole) {
		refuse(w, http.StatusUnprocessableEntity, "no such ClusterRole")
		return
	}
	if request.DryRun {
		json.NewEncoder(w).Encode(v1.CertificateResponse{})
		return
	}
	certificate, err := c.sign(csr, time.Duration(request.ExpirationSeconds)*time.Second)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	c.issued.Add(1)
	json.NewEncoder(w).Encode(v1.CertificateResponse{Certificate: certificate})
}

func mayIssue(csr *x509.CertificateRequest, grant *v1.KubeconfigGrant) bool {
	if grant == nil {
		return csr.Subject.CommonName == v1.RelayUser && len(csr.Subject.Organization) == 0
	}
	id, err := v1.CredentialID(csr.PublicKey)
	return err == nil && grant.ID == id && csr.Subject.CommonName == grant.User() && slices.Equal(csr.Subject.Organization, []string{grant.Group()})
}

func (c *Cluster) sign(csr *x509.CertificateRequest, life time.Duration) ([]byte, error) {
	now := c.Now()
	template := &x509.Certificate{
		SerialNumber: serial(c.ClientCA.tb), Subject: csr.Subject,
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	var public any = csr.PublicKey
	if c.Mangle != nil {
		if other := c.Mangle(template); other != nil {
			public = other
		}
	}
	der, err := c.ClientCA.Sign(template, public)
	if err != nil {
		return nil, err
	}
	return encode(der), nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// issueTimeout bounds one request to an issuer.
	issueTimeout = 15 * time.Second
	// maxAnswer bounds what is read of an issuer's answer; a certificate chain is a few KiB.
	maxAnswer = 64 << 10
	// maxMetrics is many times what a syncer measures.
	maxMetrics = 2 << 20
)

// Issuer has certificates signed inside virtual clusters.
type Issuer struct {
	dial              Dialer
	clientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	clock             clock.PassiveClock
}

// NewIssuer makes an Issuer. clientCertificate provides garret-apiserver's own
// client certificate, asked for on every connection so that it can be rotated.
func NewIssuer(dial Dialer, clientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *Issuer {
	return &Issuer{dial: dial, clientCertificate: clientCertificate, clock: clock.RealClock{}}
}

// Relay makes a key and has the virtual cluster's syncer sign the relay's
// certificate for it, with a life in whole seconds.
func (i *Issuer) Relay(ctx context.Context, cluster *tenancy.VirtualCluster, life time.Duration) (*Credential, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	request := v1.CertificateRequest{ExpirationSeconds: int64(life / time.Second)}
	return i.issue(ctx, cluster, key, Subject{CommonName: v1.RelayUser}, request)
}

// Kubeconfig makes a key and has the syncer give it the rights of clusterRole,
// or of cluster-admin when that is empty, and sign a certificate for it. Where
// dryRun is set everything is checked, nothing is made, and nil returned.
func (i *Issuer) Kubeconfig(ctx context.Context, cluster *tenancy.VirtualCluster, hostUser, clusterRole string, life time.Duration, dryRun bool) (*Credential, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	id, err := v1.CredentialID(key.Public())
	if err != nil {
		return nil, err
	}
	grant := &v1.KubeconfigGrant{ID: id, HostUser: hostUser, ClusterRole: clusterRole}
	request := v1.CertificateRequest{ExpirationSeconds: int64(life / time.Second), Kubeconfig: grant, DryRun: dryRun}
	credential, err := i.issue(ctx, cluster, key, Subject{CommonName: grant.User(), Organization: []string{grant.Group()}}, request)
	if err != nil || credential == nil {
		return nil, err
	}
	credential.ID = id
	return credential, nil
}

// issue has a request signed.
//
// The connection is opened and closed for this one request: certificates are
// asked for rarely, and what is not kept open needs no rotation.
func (i *Issuer) issue(ctx context.Context, cluster *tenancy.VirtualCluster, key crypto.Signer, subject Subject, request v1.CertificateRequest) (*Credential, error) {
	var err error
	if request.Request, err = newRequest(key, subject); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	chain, err := i.post(ctx, cluster, request)
	if err != nil {
		return nil, fmt.Errorf("certificate issuer of virtual cluster %s/%s: %w", cluster.Namespace, cluster.Name, err)
	}
	if request.DryRun {
		return nil, nil
	}
	life := time.Duration(request.ExpirationSeconds) * time.Second
	credential, err := newCredential(key, chain, subject, life, i.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("certificate issuer of virtual cluster %s/%s: %w", cluster.Namespace, cluster.Name, err)
	}
	return credential, nil
}

// Metrics returns what the virtual cluster's syncer measures, in the text format of Prometheus.
func (i *Issuer) Metrics(ctx context.Context, cluster *tenancy.VirtualCluster) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	measured, err := i.get(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("metrics of virtual cluster %s/%s: %w", cluster.Namespace, cluster.Name, err)
	}
	return measured, nil
}

func (i *Issuer) get(ctx context.Context, cluster *tenancy.VirtualCluster) ([]byte, error) {
	transport, err := i.transport(cluster)
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: "https", Host: Address(cluster, v1.PortIssuer), Path: v1.SyncerMetricsPath}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxMetrics+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case response.StatusCode != http.StatusOK:
		return nil, answerError(response.StatusCode, answer)
	case len(answer) > maxMetrics:
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxMetrics)
	}
	return answer, nil
}

// transport enters the pod of a virtual cluster for one request.
func (i *Issuer) transport(cluster *tenancy.VirtualCluster) (*http.Transport, error) {
	tlsConfig, err := TLSConfig(cluster)
	if err != nil {
		return nil, err
	}
	tlsConfig.GetClientCertificate = i.clientCertificate
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return i.dial(ctx, network, address)
		},
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: issueTimeout,
		DisableKeepAlives:   true,
	}, nil
}

func (i *Issuer) post(ctx context.Context, cluster *tenancy.VirtualCluster, request v1.CertificateRequest) ([]byte, error) {
	transport, err := i.transport(cluster)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	target := url.URL{Scheme: "https", Host: Address(cluster, v1.PortIssuer), Path: v1.IssuerPath}
	httpRequest, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	httpRequest.Header.Set("Content-Type", "application/json")
	// The transport is used directly: it follows no redirect.
	response, err := transport.RoundTrip(httpRequest)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return nil, answerError(response.StatusCode, answer)
	}
	var issued v1.CertificateResponse
	if err := json.Unmarshal(answer, &issued); err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	return issued.Certificate, nil
}

// answerError keeps what the issuer said, when it said it as an API server does.
func answerError(code int, answer []byte) error {
	var status metav1.Status
	if err := json.Unmarshal(answer, &status); err == nil && status.Message != "" {
		return fmt.Errorf("answered %d: %w", code, &apierrors.StatusError{ErrStatus: status})
	}
	return errors.New("answered " + http.StatusText(code))
}

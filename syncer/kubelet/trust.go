// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"crypto/x509"
	"slices"

	"garret.dev/garret/syncer/pki"
)

// Trust is what the virtual API server and a kubelet are to each other.
type Trust struct {
	// Authority signs the kubelet's certificate, as the API server verifies it.
	Authority *pki.Authority
	// Callers are the authorities of the certificate with which the API server calls
	// kubelets.
	Callers *pki.Pool
	// aggregators are those of the one with which it passes requests on, all those of both.
	aggregators, all *pki.Pool
	// name and group are the API server's; an empty group is none.
	name, group string
}

// aggregator is the name with which the API server passes requests on.
const aggregator = "system:auth-proxy"

// TrustIn is what the control plane with the data directory has its API server and
// kubelets be to each other.
//
// Garret's own control plane has an authority for this alone. To the API server itself,
// a certificate of that authority is nobody's, and nobody gets one by the
// certificates API: that signs none for clients with it. k3s has the API server call
// with one of the authority of clients, as an administrator.
func TrustIn(dataDir string) Trust {
	if authority := pki.KubeletAuthority(dataDir); authority.Exists() {
		return trust(dataDir, authority, authority, "kube-apiserver-kubelet-client", "")
	}
	return trust(dataDir, pki.ServerAuthority(dataDir), pki.ClientAuthority(dataDir), "system:apiserver", "system:masters")
}

func trust(dataDir string, serving, callers *pki.Authority, name, group string) Trust {
	front := pki.FrontProxyAuthority(dataDir).CertificateFile()
	return Trust{
		Authority: serving, name: name, group: group, Callers: pki.NewPool(callers.CertificateFile()),
		aggregators: pki.NewPool(front), all: pki.NewPool(callers.CertificateFile(), front),
	}
}

// IsAPIServer says whether a verified certificate is the one with which the API server
// calls kubelets.
func (t Trust) IsAPIServer(certificate *x509.Certificate) bool {
	return certificate.Subject.CommonName == t.name && (t.group == "" || slices.Contains(certificate.Subject.Organization, t.group)) &&
		t.Callers.Signed(certificate)
}

// isAggregator says whether it is the one with which the API server passes on requests
// that it has authenticated and authorised.
func (t Trust) isAggregator(certificate *x509.Certificate) bool {
	return certificate.Subject.CommonName == aggregator && t.aggregators.Signed(certificate)
}

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
	// Callers are the authorities of the API server's certificate.
	Callers *pki.Pool
	// name and group are the API server's; an empty group is none.
	name, group string
}

// TrustIn is what the control plane with the data directory has its API server and
// kubelets be to each other.
//
// Garret's own control plane has an authority for this alone. To the API server itself,
// a certificate of that authority is nobody's, and nobody gets one by the
// certificates API: that signs none for clients with it. k3s has the API server call
// with one of the authority of clients, as an administrator.
func TrustIn(dataDir string) Trust {
	if authority := pki.KubeletAuthority(dataDir); authority.Exists() {
		return Trust{Authority: authority, Callers: pki.NewPool(authority.CertificateFile()), name: "kube-apiserver-kubelet-client"}
	}
	return Trust{
		Authority: pki.ServerAuthority(dataDir), Callers: pki.NewPool(pki.ClientAuthority(dataDir).CertificateFile()),
		name: "system:apiserver", group: "system:masters",
	}
}

// isAPIServer says whether a verified certificate is the API server's.
func (t Trust) isAPIServer(certificate *x509.Certificate) bool {
	return certificate.Subject.CommonName == t.name && (t.group == "" || slices.Contains(certificate.Subject.Organization, t.group))
}

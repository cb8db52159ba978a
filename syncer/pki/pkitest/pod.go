// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pkitest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Issue makes what a request says once the authority has signed it. The certificate is good
// for two hours from then on, and to be renewed after one.
func (a *Authority) Issue(t testing.TB, request *certificatesv1.PodCertificateRequest, from time.Time) certificatesv1.PodCertificateRequestStatus {
	t.Helper()
	proof, err := x509.ParseCertificateRequest(request.Spec.StubPKCS10Request)
	if err == nil {
		err = proof.CheckSignature()
	}
	if err != nil {
		t.Fatalf("proof of possession: %v", err)
	}
	begins, renewed, ends := metav1.NewTime(from.Truncate(time.Second)), metav1.NewTime(from.Add(time.Hour)), metav1.NewTime(from.Truncate(time.Second).Add(2*time.Hour))
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: begins.Time, NotAfter: ends.Time}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, proof.PublicKey, a.Key)
	if err != nil {
		t.Fatalf("sign a certificate: %v", err)
	}
	return certificatesv1.PodCertificateRequestStatus{
		CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		NotBefore:        &begins, BeginRefreshAt: &renewed, NotAfter: &ends,
		Conditions: []metav1.Condition{Answer(certificatesv1.PodCertificateRequestConditionTypeIssued)},
	}
}

// Answer is the condition of a request that its signer has answered.
func Answer(kind string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "Reason", Message: "the message", LastTransitionTime: metav1.Now()}
}

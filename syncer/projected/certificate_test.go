// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/pki/pkitest"
)

func projectCertificate(kind string) corev1.VolumeProjection {
	return corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "example.org/ca", KeyType: kind, MaxExpirationSeconds: ptr.To[int32](7200),
		CredentialBundlePath: "both.pem", KeyPath: "key.pem", CertificateChainPath: "chain.pem", UserAnnotations: map[string]string{"example.org/path": "/a"}}}
}

// request is what the pod asks for.
func (f *fixture) request(name string) *certificatesv1.PodCertificateRequest {
	f.t.Helper()
	request, err := f.virtual.CertificatesV1().PodCertificateRequests("shop").Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return request
}

// answer changes the request's status as its signer, and waits until that is known.
func (f *fixture) answer(name string, status func(*certificatesv1.PodCertificateRequest) certificatesv1.PodCertificateRequestStatus) {
	f.t.Helper()
	request := f.request(name)
	request.Status = status(request)
	if _, err := f.virtual.CertificatesV1().PodCertificateRequests("shop").UpdateStatus(f.t.Context(), request, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, "the answer is known", func() bool {
		known, found := f.source.requests.Get("shop", name)
		return found && len(known.Status.Conditions) > 0
	})
}

// issue signs: the certificate is to be renewed after an hour, and ends after two.
func (f *fixture) issue(name string) {
	f.t.Helper()
	f.answer(name, func(request *certificatesv1.PodCertificateRequest) certificatesv1.PodCertificateRequestStatus {
		status := f.signer.Issue(f.t, request, f.clock.Now())
		status.CertificateChain = "between\n" + status.CertificateChain
		return status
	})
}

// leaf is the certificate that the pod has, with its key.
func (f *fixture) leaf() *x509.Certificate {
	f.t.Helper()
	pair, err := tls.X509KeyPair(f.file("chain.pem"), f.file("key.pem"))
	if err != nil {
		f.t.Fatal(err)
	}
	if want := slices.Concat(f.file("key.pem"), f.file("chain.pem")); !bytes.Equal(f.file("both.pem"), want) {
		f.t.Errorf("credential bundle: got %s, want key and chain", f.file("both.pem"))
	}
	return pair.Leaf
}

func TestCertificates(t *testing.T) {
	for kind := range makers() {
		t.Run(kind, func(t *testing.T) {
			f := start(t, projectCertificate(kind))
			f.fill()
			f.fill()
			spec := f.request("req-1").Spec
			spec.StubPKCS10Request = nil
			want := certificatesv1.PodCertificateRequestSpec{
				SignerName: "example.org/ca", PodName: "web", PodUID: "web-uid", ServiceAccountName: "robot", ServiceAccountUID: "robot-uid",
				NodeName: "node-1", NodeUID: "node-uid", MaxExpirationSeconds: ptr.To[int32](7200), UnverifiedUserAnnotations: map[string]string{"example.org/path": "/a"},
			}
			if fmt.Sprint(spec.String()) != want.String() {
				t.Errorf("request: got %v, want %v", spec, want)
			}
			f.issue("req-1")
			if after := f.fill(); after != time.Hour {
				t.Errorf("looks again after %s, want at the time that the signer named", after)
			}
			f.leaf()
			if strings.Contains(fmt.Sprint(f.secret.Annotations), "PRIVATE") || f.told() != "nothing" {
				t.Error("an annotation holds a key, or there was an Event")
			}
		})
	}
}

// TestRenewal lets the signer be late, and a syncer be restarted.
func TestRenewal(t *testing.T) {
	f := start(t, projectCertificate("ED25519"))
	f.fill()
	f.issue("req-1")
	f.fill()
	f.fill() // the Secret is seen to have it
	first := f.leaf()
	f.source.Forget(engine.KeyOf(f.pod))
	f.clock.Step(59 * time.Minute)
	if after := f.fill(); after != time.Minute {
		t.Errorf("after a restart: looks again after %s, want %s", after, time.Minute)
	}
	f.clock.Step(time.Minute)
	f.fill()
	f.request("req-2")
	f.clock.Step(9 * time.Minute)
	f.fill()
	if got := f.told(); got != "nothing" {
		t.Errorf("told %s", got)
	}
	f.clock.Step(time.Minute)
	eventually(t, "the request is known", func() bool { _, found := f.source.requests.Get("shop", "req-2"); return found })
	f.fill()
	f.wantTold("CertificateOverdueForRefresh")
	if !f.leaf().Equal(first) {
		t.Error("the pod lost its certificate before there was another")
	}
	f.clock.Step(time.Hour)
	f.fill()
	f.wantTold("CertificateExpired")
	f.issue("req-2")
	f.fill()
	if f.leaf().Equal(first) {
		t.Error("the certificate was not renewed")
	}
}

func TestNoCertificate(t *testing.T) {
	for _, condition := range []string{certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed} {
		t.Run(condition, func(t *testing.T) {
			f := start(t, projectCertificate("ED25519"))
			f.fill()
			f.answer("req-1", func(*certificatesv1.PodCertificateRequest) certificatesv1.PodCertificateRequestStatus {
				return certificatesv1.PodCertificateRequestStatus{Conditions: []metav1.Condition{pkitest.Answer(condition)}}
			})
			if after := f.fill(); after != 0 {
				t.Errorf("looks again after %s, want never", after)
			}
			f.wantTold("Warning " + condition + " PodCertificateRequest shop/req-1 of signer example.org/ca: " + condition + ": Reason: the message")
			f.wantTold("FailedMount")
			f.clock.Step(time.Hour)
			f.fill()
			if list, _ := f.virtual.CertificatesV1().PodCertificateRequests("shop").List(t.Context(), metav1.ListOptions{}); len(list.Items) != 1 || len(f.secret.Data) > 0 {
				t.Errorf("got %d requests and %d files, want one request for good, and no file", len(list.Items), len(f.secret.Data))
			}
		})
	}
}

// TestRequestIsDeleted wants another request in place of one that somebody deleted.
func TestRequestIsDeleted(t *testing.T) {
	f := start(t, projectCertificate("ED25519"))
	f.fill()
	if err := f.virtual.CertificatesV1().PodCertificateRequests("shop").Delete(t.Context(), "req-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that is known", func() bool { _, found := f.source.requests.Get("shop", "req-1"); return !found })
	if after := f.fill(); after != lostAfter {
		t.Errorf("looks again after %s, want %s", after, lostAfter)
	}
	f.clock.Step(lostAfter)
	f.fill()
	f.request("req-2")
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

// projected has a container read what the kubelet of its node would project: a token that
// names the node, a trust bundle, and a certificate, of which the test is the signer.
// Variables of its own take the place of those of services.
func projected(t *testing.T, c framework.Client) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "workload"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	anchor := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	bundle, err := json.Marshal(map[string]any{"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle",
		"metadata": map[string]any{"name": "e2e-workload"}, "spec": map[string]any{"trustBundle": string(anchor)}})
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, string(bundle))
	c.Apply(t, manifest(t, "projected.yaml"))

	framework.SucceedsWithin(t, 30*time.Second, "the certificate is signed", func(context.Context) error {
		out, err := c.Try("get", "podcertificaterequests", "-o", "json")
		if err != nil {
			return err
		}
		var list certificatesv1.PodCertificateRequestList
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Items) != 1 {
			return fmt.Errorf("got %d requests, %v; want one", len(list.Items), err)
		}
		status, err := signed(list.Items[0].Spec.StubPKCS10Request, root, key)
		if err != nil {
			return err
		}
		_, err = c.Try("patch", "podcertificaterequest", list.Items[0].Name, "--subresource=status", "--type=merge", "-p", status)
		return err
	})
	c.Do(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/projected", "--timeout=60s")
	log := c.Do(t, "logs", "projected")
	if !strings.HasPrefix(log, "host 192.0.2.1 port 443\n") {
		t.Errorf("variables: got %q, want the container's own host, and the port of the API server", log)
	}
	lines := strings.SplitN(log, "\n", 3)
	node := c.Do(t, "get", "pod", "projected", "-o", "jsonpath={.spec.nodeName}")
	parts := strings.Split(lines[1], ".")
	if claims, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)]); err != nil || !strings.Contains(string(claims), `"node":{"name":"`+node+`"`) {
		t.Errorf("claims of the token: got %s, %v; want the node %s", claims, err, node)
	}
	if !strings.HasPrefix(lines[2], string(anchor)) {
		t.Errorf("trust bundle: got %q, want that inside first", lines[2])
	}
	block, _ := pem.Decode(bytes.TrimPrefix([]byte(lines[2]), anchor))
	if block == nil {
		t.Fatalf("certificate: got none in %q", lines[2])
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err == nil {
		root.Raw, root.PublicKey, root.PublicKeyAlgorithm = der, key.Public(), x509.ECDSA
		err = leaf.CheckSignatureFrom(root)
	}
	if err != nil {
		t.Errorf("certificate: %v", err)
	}
	c.Do(t, "delete", "pod/projected", "configmap/own", "clustertrustbundle/e2e-workload", "--wait=false")
}

// signed is the status of a request that the authority signs.
func signed(request []byte, root *x509.Certificate, key *ecdsa.PrivateKey) (string, error) {
	proof, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return "", err
	}
	from := time.Now().Add(-time.Minute).Truncate(time.Second)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: from.Add(2 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, root, proof.PublicKey, key)
	if err != nil {
		return "", err
	}
	status, err := json.Marshal(map[string]any{"status": certificatesv1.PodCertificateRequestStatus{
		CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		NotBefore:        ptr.To(metav1.NewTime(from)), NotAfter: ptr.To(metav1.NewTime(template.NotAfter)),
		BeginRefreshAt: ptr.To(metav1.NewTime(from.Add(time.Hour))),
		Conditions: []metav1.Condition{{Type: certificatesv1.PodCertificateRequestConditionTypeIssued, Status: metav1.ConditionTrue,
			Reason: "Signed", Message: "signed", LastTransitionTime: metav1.Now()}},
	}})
	return string(status), err
}

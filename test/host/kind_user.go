// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// userLimit is how long the cluster may take to sign a certificate.
const userLimit = 30 * time.Second

// user asks the cluster for a certificate: its CA's key lies within a node.
// The signer refuses the group system:masters.
func (k *kindCluster) user(name string, groups []string) (string, error) {
	if name == "" || name != filepath.Base(name) {
		return "", fmt.Errorf("user name %q cannot be a file name", name)
	}
	client, err := k.client()
	if err != nil {
		return "", err
	}
	key, request, err := certificateRequest(name, groups)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), userLimit)
	defer cancel()
	certificate, err := signed(ctx, client, request)
	if err != nil {
		return "", err
	}
	config, err := clientcmd.LoadFromFile(k.kubeconfig())
	if err != nil {
		return "", err
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil {
		return "", fmt.Errorf("%s has no current context", k.kubeconfig())
	}
	current.AuthInfo = name
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: certificate, ClientKeyData: key}}
	file := filepath.Join(k.state.Dir, "users", name+".kubeconfig")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return file, clientcmd.WriteToFile(*config, file)
}

// certificateRequest makes a key and asks for a certificate of it, both PEM.
func certificateRequest(name string, groups []string) (key, request []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: groups}}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}), nil
}

// signed approves a request and waits for the certificate.
func signed(ctx context.Context, client kubernetes.Interface, request []byte) ([]byte, error) {
	requests := client.CertificatesV1().CertificateSigningRequests()
	csr, err := requests.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "garret-host-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    request,
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "GarretHost", Message: "asked for by the host's administrator",
	})
	if _, err := requests.UpdateApproval(ctx, csr.Name, csr, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	var certificate []byte
	err = wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		current, err := requests.Get(ctx, csr.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		certificate = current.Status.Certificate
		return len(certificate) > 0, nil
	})
	if err != nil {
		return nil, fmt.Errorf("certificate request %s: %w", csr.Name, err)
	}
	return certificate, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki"
)

// caller is somebody with a credential of their own.
type caller struct {
	subject rbacv1.Subject
	config  *rest.Config
	client  *kubernetes.Clientset
	// host and gateway send requests to the host's API server and to
	// garret-apiserver's own address.
	host, gateway *http.Client
}

// newCaller makes a subject of the kind and a credential of it: a client
// certificate that the host's authority signed, or a token.
func newCaller(t *testing.T, kind, name string) *caller {
	t.Helper()
	c := &caller{config: rest.AnonymousClientConfig(shared.host.Config)}
	c.config.QPS = -1
	// An upgraded connection speaks HTTP/1.1.
	c.config.NextProtos = []string{"http/1.1"}
	switch kind {
	case rbacv1.UserKind:
		c.subject = rbacv1.Subject{Kind: kind, Name: name, APIGroup: rbacv1.GroupName}
		certify(t, c.config, pkix.Name{CommonName: name})
	case rbacv1.GroupKind:
		c.subject = rbacv1.Subject{Kind: kind, Name: name, APIGroup: rbacv1.GroupName}
		certify(t, c.config, pkix.Name{CommonName: "member-of-" + name, Organization: []string{name}})
	case rbacv1.ServiceAccountKind:
		c.subject = rbacv1.Subject{Kind: kind, Name: name, Namespace: here.Namespace}
		accounts := shared.host.Client.CoreV1().ServiceAccounts(here.Namespace)
		if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c.config.BearerToken = token.Status.Token
	}
	gateway := rest.CopyConfig(c.config)
	gateway.Host, gateway.CAData = "https://"+shared.garret.Address, shared.gatewayAuthority
	for config, client := range map[*rest.Config]**http.Client{c.config: &c.host, gateway: &c.gateway} {
		made, err := rest.HTTPClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		*client = made
		t.Cleanup(made.CloseIdleConnections)
	}
	var err error
	if c.client, err = kubernetes.NewForConfigAndClient(c.config, c.host); err != nil {
		t.Fatal(err)
	}
	return c
}

// certify gives the config a client certificate of the host's authority.
func certify(t *testing.T, config *rest.Config, subject pkix.Name) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := pki.ClientAuthority(shared.host.Dir).Sign(&x509.Certificate{
		Subject: subject, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config.CertData = pki.EncodeCertificate(certificate)
	config.KeyData = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// may asks the host what kubectl auth can-i asks it.
func (c *caller) may(ctx context.Context, r right, p place) (bool, error) {
	review, err := c.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: r.verb, Group: v1.GroupName, Resource: "virtualclusters", Subresource: r.subresource, Namespace: p.Namespace, Name: p.Name,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// do acts, and returns what comes back, or an error that is the API's if a Status came back.
func (c *caller) do(ctx context.Context, a action, p place) (string, error) {
	r := a.request(p)
	base, client := c.config.Host, c.host
	if r.gateway {
		base, client = "https://"+shared.garret.Address, c.gateway
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if r.method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	response, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return "", nil
	}
	if r.watch && response.StatusCode == http.StatusOK {
		return bufio.NewReader(response.Body).ReadString('\n')
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode < http.StatusBadRequest {
		if req.Header.Get("Upgrade") != "" {
			return "", fmt.Errorf("not upgraded, but %s", response.Status)
		}
		return compact(body), nil
	}
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err != nil || status.Kind != "Status" || int(status.Code) != response.StatusCode {
		return "", fmt.Errorf("%s without a Status, but %q", response.Status, body)
	}
	return "", &apierrors.StatusError{ErrStatus: status}
}

// compact takes the white space out, so that answers can be looked into.
func compact(body []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, body); err != nil {
		return string(body)
	}
	return out.String()
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"garret.dev/garret/syncer/pki"
)

// User is somebody whom a control plane knows, with a credential of their own.
// The zero User has none.
type User struct {
	clientcmdapi.AuthInfo
	// Name and Groups are what the control plane takes them for.
	Name   string
	Groups []string
	// Subject is what a role is bound to for them.
	Subject rbacv1.Subject
}

// Certified is a user with a client certificate of the control plane's authority.
func (c *ControlPlane) Certified(t testing.TB, name string, groups ...string) User {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := pki.ClientAuthority(c.Dir).Sign(&x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: groups},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return User{
		AuthInfo: clientcmdapi.AuthInfo{
			ClientCertificateData: pki.EncodeCertificate(certificate),
			ClientKeyData:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		},
		Name: name, Groups: groups,
		Subject: rbacv1.Subject{Kind: rbacv1.UserKind, Name: name, APIGroup: rbacv1.GroupName},
	}
}

// Account is a ServiceAccount that goes with the test, and a token of it.
func (c *ControlPlane) Account(t testing.TB, namespace, name string) User {
	t.Helper()
	accounts := c.Client.CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accounts.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return User{
		AuthInfo: clientcmdapi.AuthInfo{Token: token.Status.Token},
		Name:     "system:serviceaccount:" + namespace + ":" + name,
		Subject:  rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name},
	}
}

// Config reaches a server, which this authority verifies, as the user.
func (u User) Config(server string, authority []byte) *rest.Config {
	return &rest.Config{
		Host: server, BearerToken: u.Token, QPS: queriesPerSecond, Burst: queriesPerSecond,
		TLSClientConfig: rest.TLSClientConfig{CAData: authority, CertData: u.ClientCertificateData, KeyData: u.ClientKeyData},
	}
}

// Client is kubectl at a server, which this authority verifies, as the user.
func (u User) Client(t testing.TB, server string, authority []byte) Client {
	t.Helper()
	content, err := Kubeconfig(server, authority, u.AuthInfo)
	if err != nil {
		t.Fatal(err)
	}
	return WriteClient(t, content)
}

// BindClusterRole binds a ClusterRole to the user, in a namespace or, where that is
// empty, in all of the control plane. The binding goes with the test.
func (c *ControlPlane) BindClusterRole(t testing.TB, u User, namespace, role string) {
	t.Helper()
	c.bind(t, u, namespace, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role})
}

// Grant gives the user rights, in a namespace or, where that is empty, in all of
// the control plane. They go with the test.
func (c *ControlPlane) Grant(t testing.TB, u User, namespace string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	rbac, meta := c.Client.RbacV1(), metav1.ObjectMeta{GenerateName: "test-"}
	if namespace == "" {
		role, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = rbac.ClusterRoles().Delete(context.Background(), role.Name, metav1.DeleteOptions{}) })
		c.BindClusterRole(t, u, "", role.Name)
		return
	}
	role, err := rbac.Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rbac.Roles(namespace).Delete(context.Background(), role.Name, metav1.DeleteOptions{}) })
	c.bind(t, u, namespace, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name})
}

func (c *ControlPlane) bind(t testing.TB, u User, namespace string, role rbacv1.RoleRef) {
	t.Helper()
	rbac, meta, subjects := c.Client.RbacV1(), metav1.ObjectMeta{GenerateName: "test-"}, []rbacv1.Subject{u.Subject}
	if namespace == "" {
		binding, err := rbac.ClusterRoleBindings().Create(t.Context(),
			&rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: role, Subjects: subjects}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = rbac.ClusterRoleBindings().Delete(context.Background(), binding.Name, metav1.DeleteOptions{})
		})
		return
	}
	binding, err := rbac.RoleBindings(namespace).Create(t.Context(),
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: role, Subjects: subjects}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = rbac.RoleBindings(namespace).Delete(context.Background(), binding.Name, metav1.DeleteOptions{})
	})
}

// AwaitAllowed waits until the control plane knows that the user may do it. Who
// asks garret-apiserver earlier is refused, and that is remembered for a while.
func (c *ControlPlane) AwaitAllowed(t testing.TB, u User, what authorizationv1.ResourceAttributes) {
	t.Helper()
	Eventually(t, u.Name+" may "+what.Verb+" "+what.Resource, func(ctx context.Context) (bool, error) {
		review, err := c.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: u.Name, Groups: u.Groups, ResourceAttributes: &what},
		}, metav1.CreateOptions{})
		return err == nil && review.Status.Allowed, err
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// secretTemplate is the annotation by which cert-manager learns how its Secrets are to look.
const secretTemplate = "cert-manager.io/secret-template"

// certified makes an ingress whose Secrets an issuer of the host is to make.
func (s *side) certified(name string, annotations map[string]string, secrets ...string) {
	s.t.Helper()
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: name + ".example"}}}}
	for _, secret := range secrets {
		ingress.Spec.TLS = append(ingress.Spec.TLS, networkingv1.IngressTLS{Hosts: []string{secret + ".example"}, SecretName: secret})
	}
	_, err := s.virtual.NetworkingV1().Ingresses(s.namespace).Create(s.t.Context(), ingress, metav1.CreateOptions{})
	s.must(err)
}

// hostIngress waits for the twin of an ingress.
func (s *side) hostIngress(name string) *networkingv1.Ingress {
	s.t.Helper()
	var host *networkingv1.Ingress
	framework.Eventually(s.t, "ingress "+name+" is on the host", func(ctx context.Context) (bool, error) {
		var err error
		host, err = s.host.NetworkingV1().Ingresses(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
		return err == nil, nil
	})
	return host
}

// issue puts a Secret on the host as an issuer would.
func (s *side) issue(name string, kind corev1.SecretType, labels map[string]string, certificate string) {
	s.t.Helper()
	_, err := s.host.CoreV1().Secrets(s.hostNamespace).Create(s.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{"cert-manager.io/issuer-name": "company"}}, Type: kind,
		Data: map[string][]byte{corev1.TLSCertKey: []byte(certificate), corev1.TLSPrivateKeyKey: []byte("key"), "ca.crt": []byte("authority"), "other": []byte("x")},
	}, metav1.CreateOptions{})
	s.must(err)
}

func (s *side) secretInside(ctx context.Context, name string) (*corev1.Secret, error) {
	return s.virtual.CoreV1().Secrets(s.namespace).Get(ctx, name, metav1.GetOptions{})
}

// certificateInside waits until the Secret inside has a certificate.
func (s *side) certificateInside(name, certificate string) *corev1.Secret {
	s.t.Helper()
	var inside *corev1.Secret
	framework.Eventually(s.t, "secret "+name+" inside has the certificate "+certificate, func(ctx context.Context) (bool, error) {
		var err error
		inside, err = s.secretInside(ctx, name)
		return err == nil && string(inside.Data[corev1.TLSCertKey]) == certificate, nil
	})
	return inside
}

// TestCertificateIsBroughtInside wants what an issuer of the host makes for an ingress to
// be inside, under the name that the tenant chose, and to stay current.
func TestCertificateIsBroughtInside(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.certified("shop", map[string]string{
		"cert-manager.io/cluster-issuer": "company",
		// A tenant does not say what Secrets of the host look like.
		secretTemplate: `{"labels":{"garret.dev/cluster":"ffffffffff"}}`,
	}, "shop-tls")
	host := s.hostIngress("shop")
	var template metav1.ObjectMeta
	s.must(json.Unmarshal([]byte(host.Annotations[secretTemplate]), &template))
	if want := map[string]string{tenancyv1.LabelIssuedFor: s.translator.Cluster().ID}; !maps.Equal(template.Labels, want) || len(template.Annotations) > 0 {
		t.Errorf("what the Secret is to look like: got %v and %v, want the labels %v", template.Labels, template.Annotations, want)
	}
	name := host.Spec.TLS[0].SecretName
	s.issue(name, corev1.SecretTypeTLS, template.Labels, "first")
	inside := s.certificateInside("shop-tls", "first")
	if got := slices.Sorted(maps.Keys(inside.Data)); inside.Type != corev1.SecretTypeTLS || !slices.Equal(got, []string{"ca.crt", "tls.crt", "tls.key"}) || len(inside.Annotations) > 0 {
		t.Errorf("inside: got type %s with %v and annotations %v, want a certificate and nothing of the host", inside.Type, got, inside.Annotations)
	}

	secrets := s.host.CoreV1().Secrets(s.hostNamespace)
	issued, err := secrets.Get(ctx, name, metav1.GetOptions{})
	s.must(err)
	issued.Data[corev1.TLSCertKey] = []byte("renewed")
	_, err = secrets.Update(ctx, issued, metav1.UpdateOptions{})
	s.must(err)
	s.certificateInside("shop-tls", "renewed")

	// A tenant that takes it away gets it again.
	s.must(s.virtual.CoreV1().Secrets(s.namespace).Delete(ctx, "shop-tls", metav1.DeleteOptions{}))
	s.certificateInside("shop-tls", "renewed")
	// The Secret on the host is the issuer's alone: nothing inside was carried there.
	issued, err = secrets.Get(ctx, name, metav1.GetOptions{})
	s.must(err)
	if issued.Labels[tenancyv1.LabelCluster] != "" || string(issued.Data["other"]) != "x" {
		t.Errorf("on the host: got %v with %d keys, want it as the issuer left it", issued.Labels, len(issued.Data))
	}
}

// TestCertificateOfTheTenant has an issuer on the host for a Secret that is inside already.
// Only one of the two may write on the host, and the one inside is not the host's to take.
func TestCertificateOfTheTenant(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.virtual.CoreV1().Secrets(s.namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shop-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: []byte("own"), corev1.TLSPrivateKeyKey: []byte("key")}}, metav1.CreateOptions{})
	s.must(err)
	s.certified("shop", nil, "shop-tls")
	name := s.hostIngress("shop").Spec.TLS[0].SecretName
	secrets := s.host.CoreV1().Secrets(s.hostNamespace)
	framework.Eventually(t, "the tenant's certificate is on the host", func(ctx context.Context) (bool, error) {
		found, err := secrets.Get(ctx, name, metav1.GetOptions{})
		return err == nil && string(found.Data[corev1.TLSCertKey]) == "own", nil
	})
	s.annotate("shop", "cert-manager.io/cluster-issuer", "company")
	framework.Eventually(t, "the tenant's certificate makes way for the issuer's", func(ctx context.Context) (bool, error) {
		_, err := secrets.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	s.issue(name, corev1.SecretTypeTLS, map[string]string{tenancyv1.LabelIssuedFor: s.translator.Cluster().ID}, "issued")
	framework.Eventually(t, "the ingress says that there are two", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=SecretExists,involvedObject.name=shop"})
		return err == nil && len(events.Items) > 0, err
	})
	if inside, err := s.secretInside(ctx, "shop-tls"); err != nil || string(inside.Data[corev1.TLSCertKey]) != "own" {
		t.Errorf("the tenant's Secret: got %v, %v; want it as it was", inside, err)
	}
	s.must(s.virtual.CoreV1().Secrets(s.namespace).Delete(ctx, "shop-tls", metav1.DeleteOptions{}))
	s.certificateInside("shop-tls", "issued")
}

func (s *side) annotate(ingress, key, value string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
	_, err := s.virtual.NetworkingV1().Ingresses(s.namespace).Patch(s.t.Context(), ingress, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	s.must(err)
}

// TestCertificateOfNobodyHere puts Secrets on the host that a tenant would like to have:
// each name is named by an ingress inside, and none of them may come there.
func TestCertificateOfNobodyHere(t *testing.T) {
	s := setUp(t)
	own := map[string]string{tenancyv1.LabelIssuedFor: s.translator.Cluster().ID}
	attacks := []struct {
		// name is what the tenant writes, host the Secret on the host; empty for its translation.
		name, host string
		kind       corev1.SecretType
		labels     map[string]string
	}{
		{name: "wildcard", host: "wildcard", kind: corev1.SecretTypeTLS, labels: own},
		{name: "by-hand", kind: corev1.SecretTypeTLS},
		{name: "of-another", kind: corev1.SecretTypeTLS, labels: map[string]string{tenancyv1.LabelIssuedFor: "ffffffffff"}},
		{name: "twin-of-another", kind: corev1.SecretTypeTLS, labels: map[string]string{tenancyv1.LabelIssuedFor: s.translator.Cluster().ID, tenancyv1.LabelCluster: "ffffffffff"}},
		{name: "no-certificate", kind: corev1.SecretTypeOpaque, labels: own},
	}
	var names []string
	for _, attack := range attacks {
		names = append(names, attack.name)
		if attack.host == "" {
			attack.host = s.translator.HostName(s.namespace, attack.name)
		}
		s.issue(attack.host, attack.kind, attack.labels, "loot")
	}
	s.issue(s.translator.HostName(s.namespace, "unnamed"), corev1.SecretTypeTLS, own, "loot")
	s.certified("greedy", map[string]string{"cert-manager.io/cluster-issuer": "company"}, append(names, "mine")...)
	if got := s.hostIngress("greedy").Spec.TLS[0].SecretName; got == "wildcard" {
		t.Errorf("the host's ingress names %s, somebody else's Secret", got)
	}
	// What comes last is there only after the others were looked at.
	s.issue(s.translator.HostName(s.namespace, "mine"), corev1.SecretTypeTLS, own, "certificate")
	s.certificateInside("mine", "certificate")
	for _, name := range append(names, "unnamed") {
		if _, err := s.secretInside(t.Context(), name); !apierrors.IsNotFound(err) {
			t.Errorf("secret %s inside: got %v, want none", name, err)
		}
	}
}

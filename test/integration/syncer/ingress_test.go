// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

// bodySize is an annotation that reaches the host.
const bodySize = "nginx.ingress.kubernetes.io/proxy-body-size"

// TestIngress wants an ingress to lead to the twins of what it names, the secret of its
// certificate to come and go with it, and what the host's controller says to be inside.
func TestIngress(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shop-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: []byte("certificate"), corev1.TLSPrivateKeyKey: []byte("key")}}
	users := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "users"}, Data: map[string][]byte{"auth": []byte("alice:hash")}}
	for _, each := range []*corev1.Secret{secret, users} {
		_, err := s.virtual.CoreV1().Secrets(s.namespace).Create(ctx, each, metav1.CreateOptions{})
		s.must(err)
	}
	web := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}
	virtual, err := s.virtual.NetworkingV1().Ingresses(s.namespace).Create(ctx, &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: map[string]string{
		bodySize: "8m", "nginx.ingress.kubernetes.io/auth-secret": "users", "cert-manager.io/issuer": "anothers"}}, Spec: networkingv1.IngressSpec{
		IngressClassName: ptr.To("traefik"), DefaultBackend: &web,
		TLS: []networkingv1.IngressTLS{{Hosts: []string{"shop.example"}, SecretName: secret.Name}, {Hosts: []string{"without.example"}}},
		Rules: []networkingv1.IngressRule{{Host: "shop.example", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: ptr.To(networkingv1.PathTypePrefix), Backend: web}}}}}},
	}}, metav1.CreateOptions{})
	s.must(err)

	ingresses, name := s.host.NetworkingV1().Ingresses(s.hostNamespace), s.translator.HostName(s.namespace, "shop")
	var host *networkingv1.Ingress
	framework.Eventually(t, "the ingress is on the host", func(ctx context.Context) (bool, error) {
		host, err = ingresses.Get(ctx, name, metav1.GetOptions{})
		return err == nil, nil
	})
	service, tls := s.translator.HostName(s.namespace, "web"), s.translator.HostName(s.namespace, "shop-tls")
	if got := host.Spec; got.DefaultBackend.Service.Name != service || got.Rules[0].HTTP.Paths[0].Backend.Service.Name != service ||
		got.TLS[0].SecretName != tls || got.TLS[1].SecretName != "" || *got.IngressClassName != "traefik" || got.Rules[0].Host != "shop.example" {
		t.Errorf("on the host: got %+v, want the twins' names, and all else as it is", got)
	}
	if got, left := host.Annotations, "cert-manager.io/issuer"; got[bodySize] != "8m" || got["nginx.ingress.kubernetes.io/auth-secret"] != s.translator.HostName(s.namespace, "users") || got[left] != "" {
		t.Errorf("annotations: got %v, want those that are allowed, with the name of the secret's twin", got)
	} else if message := s.awaitEvent(virtual.UID, "AnnotationsLeftOut"); !strings.Contains(message, left) {
		t.Errorf("event: got %q, want %s", message, left)
	}
	hostSecret := func() (*corev1.Secret, error) {
		return s.host.CoreV1().Secrets(s.hostNamespace).Get(context.WithoutCancel(ctx), tls, metav1.GetOptions{})
	}
	framework.Eventually(t, "the secret that an annotation names is on the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "users"), metav1.GetOptions{})
		return err == nil, nil
	})
	framework.Eventually(t, "the certificate is on the host", func(context.Context) (bool, error) {
		found, err := hostSecret()
		return err == nil && found.Type == corev1.SecretTypeTLS && string(found.Data[corev1.TLSCertKey]) == "certificate", nil
	})

	host.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.7"}}
	_, err = ingresses.UpdateStatus(ctx, host, metav1.UpdateOptions{})
	s.must(err)
	framework.Eventually(t, "the address is inside", func(ctx context.Context) (bool, error) {
		found, err := s.virtual.NetworkingV1().Ingresses(s.namespace).Get(ctx, "shop", metav1.GetOptions{})
		return err == nil && len(found.Status.LoadBalancer.Ingress) == 1 && found.Status.LoadBalancer.Ingress[0].IP == "192.0.2.7", err
	})
	_, err = s.host.CoreV1().Events(s.hostNamespace).Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "event-"},
		InvolvedObject: corev1.ObjectReference{Kind: "Ingress", Namespace: s.hostNamespace, Name: name, UID: host.UID},
		Type:           corev1.EventTypeWarning, Reason: "NoEndpoints", Message: "service " + service + " has no endpoints, certificate " + tls,
	}, metav1.CreateOptions{})
	s.must(err)
	framework.Eventually(t, "the controller's Event is inside, in the names there", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=NoEndpoints"})
		return err == nil && len(events.Items) == 1 && events.Items[0].InvolvedObject.UID == virtual.UID &&
			events.Items[0].Message == "service web has no endpoints, certificate shop-tls", err
	})

	_, err = s.virtual.NetworkingV1().Ingresses(s.namespace).Patch(ctx, "shop", types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+bodySize+`":null}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the annotation is gone from the host", func(ctx context.Context) (bool, error) {
		host, err := ingresses.Get(ctx, name, metav1.GetOptions{})
		return err == nil && host.Annotations[bodySize] == "", err
	})
	s.stop()
	s.denied = []string{"nginx.ingress.kubernetes.io/*"}
	s.start()
	framework.Eventually(t, "the secret of a denied annotation is gone from the host", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().Secrets(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "users"), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	s.must(s.virtual.NetworkingV1().Ingresses(s.namespace).Delete(ctx, "shop", metav1.DeleteOptions{}))
	framework.Eventually(t, "the certificate is gone from the host", func(context.Context) (bool, error) {
		_, err := hostSecret()
		return apierrors.IsNotFound(err), nil
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

// ingresses carries ingresses to the host, whose controllers serve them. They lead to the
// host's twins of the Services and secrets that they name.
func (b *builder) ingresses() {
	declare(b, b.Virtual.Ingresses, b.Host.Ingresses, declared[*networkingv1.Ingress]{
		apply:      func(virtual, host *networkingv1.Ingress) error { return applyIngress(b.Translator, virtual, host) },
		references: ingressReferences,
		status:     b.ingressStatus,
	})
	if b.Selection[tenancyv1.ResourceSecrets] {
		b.certificates()
	}
}

func applyIngress(translator *translate.Translator, virtual, host *networkingv1.Ingress) error {
	spec, violations := isolation.IngressSpec(&virtual.Spec)
	if err := forbidden(violations); err != nil {
		return err
	}
	hostName := func(name *string) {
		if *name != "" {
			*name = translator.HostName(virtual.Namespace, *name)
		}
	}
	visitBackends(spec, hostName)
	for i := range spec.TLS {
		hostName(&spec.TLS[i].SecretName)
	}
	host.Spec = *spec
	return askForCertificates(translator, host)
}

// visitBackends calls visit with the place of each name of a Service.
func visitBackends(spec *networkingv1.IngressSpec, visit func(name *string)) {
	backend := func(backend *networkingv1.IngressBackend) {
		if backend != nil && backend.Service != nil {
			visit(&backend.Service.Name)
		}
	}
	backend(spec.DefaultBackend)
	for i := range spec.Rules {
		if http := spec.Rules[i].HTTP; http != nil {
			for j := range http.Paths {
				backend(&http.Paths[j].Backend)
			}
		}
	}
}

// ingressReferences are the Services and secrets that the ingress names.
func ingressReferences(ingress *networkingv1.Ingress) []string {
	return slices.Concat(ingressServices(ingress), ingressSecrets(ingress))
}

// ingressServices are the Services that the ingress leads to.
func ingressServices(ingress *networkingv1.Ingress) []string {
	var names []string
	visitBackends(&ingress.Spec, func(name *string) { names = append(names, *name) })
	return names
}

// ingressSecrets are the secrets that hold its certificates, and those that its annotations name.
func ingressSecrets(ingress *networkingv1.Ingress) []string {
	names := isolation.AnnotatedSecrets(tenancyv1.ResourceIngresses, ingress.Namespace, ingress.Annotations)
	for _, tls := range ingress.Spec.TLS {
		if tls.SecretName != "" {
			names = append(names, tls.SecretName)
		}
	}
	return names
}

// ingressesBySecret indexes ingresses by namespace/name of the secrets that they name.
func ingressesBySecret(object any) ([]string, error) {
	ingress, ok := object.(*networkingv1.Ingress)
	if !ok {
		return nil, nil
	}
	names := ingressSecrets(ingress)
	for i, name := range names {
		names[i] = ingress.Namespace + "/" + name
	}
	return names, nil
}

// secretsOfIngress names the secrets of an ingress inside.
func secretsOfIngress(object any) []types.NamespacedName {
	ingress := object.(*networkingv1.Ingress)
	var keys []types.NamespacedName
	for _, name := range ingressSecrets(ingress) {
		keys = append(keys, types.NamespacedName{Namespace: ingress.Namespace, Name: name})
	}
	return keys
}

// secretsOfHostIngress names the secrets inside of the ingress that the host's stands for.
func (b *builder) secretsOfHostIngress(object any) []types.NamespacedName {
	identity, ours := b.Translator.IdentityOf(object.(*networkingv1.Ingress))
	if !ours {
		return nil
	}
	virtual, found := b.Virtual.Ingresses.Get(identity.Namespace, identity.Name)
	if !found {
		return nil // its own end was seen
	}
	return secretsOfIngress(virtual)
}

// servedOnHost tells whether the host's ingress names the secret. An annotation that stays
// inside brings none there.
func (b *builder) servedOnHost(secret string) func(virtual *networkingv1.Ingress) bool {
	return func(virtual *networkingv1.Ingress) bool {
		host, found := b.Host.Ingresses.Get(b.Host.Ingresses.Namespace(), b.Translator.HostName(virtual.Namespace, virtual.Name))
		return found && b.ingressHosted(virtual) && slices.Contains(ingressSecrets(host), b.Translator.HostName(virtual.Namespace, secret))
	}
}

// ingressHosted tells whether the ingress is on the host. What only a refused one names is
// not brought there.
func (b *builder) ingressHosted(virtual *networkingv1.Ingress) bool {
	host, found := b.Host.Ingresses.Get(b.Host.Ingresses.Namespace(), b.Translator.HostName(virtual.Namespace, virtual.Name))
	if !found {
		return false
	}
	identity, ours := b.Translator.IdentityOf(host)
	return ours && identity.UID == virtual.UID
}

// ingressStatus brings the addresses inside at which the host serves the ingress.
func (b *builder) ingressStatus(ctx context.Context, virtual, host *networkingv1.Ingress) error {
	if equality.Semantic.DeepEqual(virtual.Status, host.Status) {
		return nil
	}
	changed := virtual.DeepCopy()
	changed.Status = *host.Status.DeepCopy()
	_, err := b.Virtual.Client.NetworkingV1().Ingresses(virtual.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// Annotations of an ingress by which cert-manager, on the host, issues the Secrets that
// the ingress names, and what those look like.
const (
	annotationIssuer         = "cert-manager.io/issuer"
	annotationClusterIssuer  = "cert-manager.io/cluster-issuer"
	annotationDefaultIssuer  = "kubernetes.io/tls-acme"
	annotationSecretTemplate = "cert-manager.io/secret-template"
)

// reasonSecretExists is the reason of the Event that a certificate is not brought inside.
const reasonSecretExists = "SecretExists"

// caKey is where a Secret may have the certificate of its issuer.
const caKey = "ca.crt"

// issued copies inside what cert-manager issues on the host for ingresses.
//
// The Secret is on the host under the name that the host's ingress gives, which is
// made of the cluster's id and the name inside. Nobody needs to believe that alone, as a
// name could be looked for: the Secret also bears the label LabelIssuedFor with that id.
// The syncer asks for the label in the annotation of the host's ingress, which is no
// tenant's to write, and a label of a tenant is never of that domain. So what a tenant,
// or another virtual cluster, has put on the host is not taken for it.
//
// Inside, the copy has the label, too. A Secret without it is the tenant's, and stays as
// it is. Nothing is deleted inside, as cert-manager deletes no Secret either.
type issued struct {
	*builder
}

// certificates adds the controller of what is issued.
func (b *builder) certificates() {
	i := issued{b}
	controller := b.controller("certificates", otherWorkers, i)
	b.watch(controller, b.Host.Issued.Informer(), i.virtualKeys)
	b.watch(controller, b.Virtual.Ingresses.Informer(), secretsOfIngress)
	b.watch(controller, b.Host.Ingresses.Informer(), b.secretsOfHostIngress)
	b.watch(controller, b.Virtual.Secrets.Informer(), engine.SameKey)
}

// ingressesByCertificate indexes ingresses by namespace/name of the secrets of their certificates.
func ingressesByCertificate(object any) ([]string, error) {
	ingress, ok := object.(*networkingv1.Ingress)
	if !ok {
		return nil, nil
	}
	var names []string
	for _, tls := range ingress.Spec.TLS {
		if tls.SecretName != "" {
			names = append(names, ingress.Namespace+"/"+tls.SecretName)
		}
	}
	return names, nil
}

// virtualKeys names the Secrets inside that one of the host may be for.
func (i issued) virtualKeys(object any) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, ingress := range i.Host.Ingresses.ByIndex(indexCertificate, engine.KeyOf(object.(*corev1.Secret)).String()) {
		keys = append(keys, i.secretsOfHostIngress(ingress)...)
	}
	return keys
}

// Reconcile sees to the Secret of this name inside.
func (i issued) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	host, found := i.Host.Issued.Get(i.Host.Issued.Namespace(), i.Translator.HostName(key.Namespace, key.Name))
	if !found || !i.isIssued(host) {
		return 0, nil
	}
	ingresses := i.Virtual.Ingresses.ByIndex(indexCertificate, key.String())
	ingresses = slices.DeleteFunc(ingresses, func(ingress *networkingv1.Ingress) bool { return !i.ingressHosted(ingress) })
	if len(ingresses) == 0 {
		return 0, nil
	}
	if inside, found := i.Virtual.Secrets.Get(key.Namespace, key.Name); found && !i.isCopy(inside) {
		i.tellExists(ingresses, key.Name)
		return 0, nil
	}
	if err := i.bring(ctx, key, host.Name); err != nil {
		return 0, fmt.Errorf("certificate of secret %s: %w", key, err)
	}
	return 0, nil
}

// isIssued tells whether the Secret was made on the host for this virtual cluster.
func (i issued) isIssued(host *corev1.Secret) bool {
	_, synced := host.Labels[tenancyv1.LabelCluster]
	return host.Type == corev1.SecretTypeTLS && i.isCopy(host) && !synced && host.DeletionTimestamp == nil
}

func (i issued) isCopy(secret *corev1.Secret) bool {
	return secret.Labels[tenancyv1.LabelIssuedFor] == i.Translator.Cluster().ID
}

func (i issued) tellExists(ingresses []*networkingv1.Ingress, name string) {
	for _, ingress := range ingresses {
		i.Recorder.Eventf(ingress, corev1.EventTypeWarning, reasonSecretExists,
			"the host issued and serves a certificate for this ingress, but the secret %q here holds another one; delete the secret, and the syncer copies the host's certificate here", name)
	}
}

// bring copies the Secret of the host, as both sides are now.
func (i issued) bring(ctx context.Context, key types.NamespacedName, hostName string) error {
	host, err := i.Host.Client.CoreV1().Secrets(i.Host.Issued.Namespace()).Get(ctx, hostName, metav1.GetOptions{})
	if err != nil {
		return tolerateMissing(err)
	}
	data := certificateData(host)
	if !i.isIssued(host) || data == nil {
		return nil
	}
	client := i.Virtual.Client.CoreV1().Secrets(key.Namespace)
	inside, err := client.Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: key.Name, Labels: map[string]string{tenancyv1.LabelIssuedFor: i.Translator.Cluster().ID}},
			Type:       corev1.SecretTypeTLS, Data: data,
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // its own change leads to another pass
		}
		return tolerateMissing(err)
	case err != nil:
		return err
	case !i.isCopy(inside) || equalData(inside.Data, data):
		return nil
	}
	inside.Data = data
	_, err = client.Update(ctx, inside, metav1.UpdateOptions{})
	return tolerateMissing(err)
}

func tolerateMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// certificateData is what of an issued Secret is brought inside; nil while it is not complete.
func certificateData(host *corev1.Secret) map[string][]byte {
	data := map[string][]byte{}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, caKey} {
		if value := host.Data[key]; len(value) > 0 {
			data[key] = value
		} else if key != caKey {
			return nil
		}
	}
	return data
}

func equalData(one, other map[string][]byte) bool {
	if len(one) != len(other) {
		return false
	}
	for key, value := range one {
		if !bytes.Equal(value, other[key]) {
			return false
		}
	}
	return true
}

// issues tells whether cert-manager issues the Secrets that the host's ingress names.
func issues(host *networkingv1.Ingress) bool {
	byDefault, _ := strconv.ParseBool(host.Annotations[annotationDefaultIssuer])
	return byDefault || host.Annotations[annotationIssuer] != "" || host.Annotations[annotationClusterIssuer] != ""
}

// askForCertificates has the Secrets that are issued for the host's ingress say whom they are for.
func askForCertificates(translator *translate.Translator, host *networkingv1.Ingress) error {
	if !issues(host) {
		delete(host.Annotations, annotationSecretTemplate)
		return nil
	}
	template, err := json.Marshal(map[string]any{"labels": map[string]string{tenancyv1.LabelIssuedFor: translator.Cluster().ID}})
	host.Annotations[annotationSecretTemplate] = string(template)
	return err
}

// issuedOnHost tells whether the host has the secret from an issuer of its own, now or
// soon. Two who write one Secret would never come to an end.
func (b *builder) issuedOnHost(virtual *corev1.Secret) bool {
	name := b.Translator.HostName(virtual.Namespace, virtual.Name)
	if _, found := b.Host.Issued.Get(b.Host.Issued.Namespace(), name); found && virtual.Labels[tenancyv1.LabelIssuedFor] != "" {
		return true
	}
	return slices.ContainsFunc(b.Host.Ingresses.ByIndex(indexCertificate, b.Host.Ingresses.Namespace()+"/"+name), func(host *networkingv1.Ingress) bool {
		return b.Translator.IsOurs(host) && issues(host)
	})
}

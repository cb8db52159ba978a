// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// secrets carries the secrets that pods and ingresses on the host refer to, or all but those that the
// host's own are shown as, and the credentials for the API server inside. The host's copy is never
// immutable, so that one made again inside can take its place.
func (b *builder) secrets() {
	ofPod := referredBy(references.ofSecrets)
	follows := []follow{{b.Virtual.Pods.Informer(), ofPod}}
	ingresses := b.Selection[tenancyv1.ResourceIngresses]
	if ingresses {
		follows = append(follows, follow{b.Virtual.Ingresses.Informer(), secretsOfIngress}, follow{b.Host.Ingresses.Informer(), b.secretsOfHostIngress},
			follow{b.Host.Issued.Informer(), issued{b}.virtualKeys})
	}
	follows = append(follows, b.followRules(tenancyv1.ResourceSecrets)...)
	controller := declare(b, b.Virtual.Secrets, b.Host.Secrets, declared[*corev1.Secret]{
		wanted: func(virtual *corev1.Secret) bool {
			key := engine.KeyOf(virtual).String()
			if ingresses && b.issuedOnHost(virtual) {
				return false
			}
			return b.All[tenancyv1.ResourceSecrets] && !isShown(virtual, tenancyv1.LabelMapped, b.Translator.Cluster().ID) && !isCredential(virtual.Type) ||
				slices.ContainsFunc(b.Virtual.Pods.ByIndex(indexSecret, key), b.hosted) ||
				ingresses && slices.ContainsFunc(b.Virtual.Ingresses.ByIndex(indexSecret, key), b.servedOnHost(virtual.Name)) ||
				b.namedByRule(tenancyv1.ResourceSecrets, key)
		},
		unwanted: "no pod or ingress on the host uses it, or the host issued it",
		create: func(virtual, host *corev1.Secret) error {
			host.Type = hostSecretType(virtual.Type)
			return nil
		},
		apply: func(virtual, host *corev1.Secret) error {
			host.Data = virtual.Data
			return nil
		},
		follows: follows,
	})
	b.watchPodsGo(controller, ofPod)
	b.beforePods = append(b.beforePods, need{controller: controller, keys: ofPod})
}

// isCredential tells whether secrets of the type let somebody into the API server inside. They
// serve nothing on the host, and others there could read them.
func isCredential(of corev1.SecretType) bool {
	return of == corev1.SecretTypeServiceAccountToken || of == corev1.SecretTypeBootstrapToken
}

// hostSecretType keeps the types that the host's kubelet reads, and such as only
// describe the data. Others have controllers act on a secret, with the host's
// powers: a service account's token, say.
func hostSecretType(virtual corev1.SecretType) corev1.SecretType {
	switch virtual {
	case corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg, corev1.SecretTypeTLS,
		corev1.SecretTypeBasicAuth, corev1.SecretTypeSSHAuth:
		return virtual
	}
	return corev1.SecretTypeOpaque
}

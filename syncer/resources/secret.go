// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// secrets carries the secrets that pods refer to.
type secrets struct {
	translator *translate.Translator
	virtual    *Virtual
}

var _ engine.Kind[*corev1.Secret] = &secrets{}

// Wanted is true while a pod refers to the secret.
func (s *secrets) Wanted(_ context.Context, virtual *corev1.Secret) (bool, error) {
	return len(s.virtual.Pods.ByIndex(indexSecret, virtual.Namespace+"/"+virtual.Name)) > 0, nil
}

// ToHost copies the data. The host's copy is never immutable, so that a secret
// made anew inside can take its place.
func (s *secrets) ToHost(_ context.Context, virtual, host *corev1.Secret) error {
	s.translator.Mark(host, translate.IdentityFor(virtual), virtual.Labels, nil)
	if host.UID == "" {
		host.Type = hostSecretType(virtual.Type)
	}
	host.Data = virtual.Data
	return nil
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

// ofPod names the secrets that a pod refers to.
func (s *secrets) ofPod(object any) []types.NamespacedName {
	pod := object.(*corev1.Pod)
	return inNamespace(pod.Namespace, referencesOf(pod).secrets)
}

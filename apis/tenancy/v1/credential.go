// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
)

const (
	// LabelAccess marks the ClusterRoleBindings inside that let people of the host
	// in. Its value is AccessKubeconfig, AccessSecret or AccessRuled.
	LabelAccess = "tenancy.garret.dev/access"
	// AccessKubeconfig is for bindings that give a kubeconfig its rights.
	AccessKubeconfig = "kubeconfig"
	// AccessSecret is for bindings that give a kubeconfig kept in a Secret its rights.
	AccessSecret = "kubeconfig-secret"
	// AccessRuled is for bindings that spec.access asks for.
	AccessRuled = "rule"
	// AnnotationHostUser names the user of the host whom a kubeconfig was given to.
	AnnotationHostUser = "tenancy.garret.dev/host-user"
	// AnnotationSecret names the Secret of the host that a kubeconfig is kept in.
	AnnotationSecret = "tenancy.garret.dev/kubeconfig-secret"
	// AnnotationExpires is when a kubeconfig ends, in the form of RFC 3339.
	AnnotationExpires = "tenancy.garret.dev/expires"

	// credentialDigits is the length of a credential's id.
	credentialDigits = 16
)

// KubeconfigGrant says whose a kubeconfig is and what it may do. Both sides of
// the issuer derive the names in the certificate from it.
type KubeconfigGrant struct {
	// ID is the credential's, see CredentialID.
	ID string `json:"id"`
	// HostUser is the user of the host, without a prefix.
	HostUser string `json:"hostUser"`
	// ClusterRole is what the credential is held to; empty for cluster-admin.
	ClusterRole string `json:"clusterRole,omitempty"`
}

// Group is the one group of the credential, and the name of its ClusterRoleBinding.
func (g *KubeconfigGrant) Group() string { return KubeconfigPrefix + g.ID }

// User is the name of the credential inside. One that is held to a role must not
// have what else is bound to its owner, so it has a name of its own, which ends
// with the owner's.
func (g *KubeconfigGrant) User() string {
	if g.ClusterRole == "" {
		return HostUserPrefix + g.HostUser
	}
	return g.Group() + ":" + g.HostUser
}

// SecretUser is the name, inside, of the credential with this id that is kept in a Secret
// of the host. It is another one with each key, so that nothing else is bound to it.
func SecretUser(id, secret string) string { return KubeconfigPrefix + id + ":secret:" + secret }

// KubeconfigSecretRules are the rights that a syncer needs on the host for the Secret of
// spec.kubeconfigSecret.
func KubeconfigSecretRules(secret *KubeconfigSecret) []rbacv1.PolicyRule {
	if secret == nil {
		return nil
	}
	return []rbacv1.PolicyRule{
		// RBAC cannot hold create to a name; an admission policy holds it to the label.
		{APIGroups: []string{""}, Resources: []string{ResourceSecrets}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{ResourceSecrets}, ResourceNames: []string{secret.Name}, Verbs: []string{"get", "list", "watch", "update", "delete"}},
	}
}

// CredentialID is the id of the credential with this key, sixteen lower-case
// hexadecimal digits. It follows from the key, so the id of a credential that
// was revoked cannot come back with another one.
func CredentialID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])[:credentialDigits], nil
}

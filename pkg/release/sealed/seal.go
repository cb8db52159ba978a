// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotation holds the seal of a Secret: the digest of its data, and the keyed
// digest of that and of where the Secret stands. So metadata alone tell whether the
// data are worth reading.
const Annotation = "tenancy.garret.dev/record-seal"

// boundLabels are those by which a record is found. Others may be added by anybody.
func boundLabels() []string { return []string{"owner", "name", "version", "status"} }

// digest stands for all data of a Secret.
func digest(data map[string][]byte) string {
	// A map's keys come in order, and a map of bytes can be encoded.
	encoded, _ := json.Marshal(data)
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// keyed is the keyed digest for an object with data of this digest.
func keyed(key []byte, namespace string, object metav1.Object, digest string) string {
	parts := []string{namespace, object.GetName(), digest}
	for _, label := range boundLabels() {
		parts = append(parts, object.GetLabels()[label])
	}
	// JSON keeps apart what stands beside each other.
	encoded, _ := json.Marshal(parts)
	sum := hmac.New(sha256.New, key)
	sum.Write(encoded)
	return hex.EncodeToString(sum.Sum(nil))
}

// seal puts the seal on a Secret that is about to be written.
func seal(key []byte, namespace string, secret *corev1.Secret) {
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	of := digest(secret.Data)
	secret.Annotations[Annotation] = of + "." + keyed(key, namespace, secret, of)
}

// valid tells whether an object has a seal from this key, and the digest that its
// data must have.
func valid(key []byte, namespace string, object metav1.Object) (of string, ok bool) {
	of, mac, found := strings.Cut(object.GetAnnotations()[Annotation], ".")
	return of, found && hmac.Equal([]byte(mac), []byte(keyed(key, namespace, object, of)))
}

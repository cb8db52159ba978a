// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/ptr"
)

const (
	// KeySecret is the Secret in Garret's own namespace that holds the key.
	KeySecret = "garret-controller-records"

	keyEntry = "key"
	keyBytes = 32
)

// Key is the key of seals. Its first use reads or creates it. When the earlier key is lost, no
// record is valid, and releases are adopted.
type Key struct {
	secrets typedcorev1.SecretInterface

	mu    sync.Mutex
	bytes []byte
}

// NewKey returns the key that lies among these Secrets, which nobody else may read.
func NewKey(secrets typedcorev1.SecretInterface) *Key { return &Key{secrets: secrets} }

func (k *Key) get(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes != nil {
		return k.bytes, nil
	}
	found, err := k.secrets.Get(ctx, KeySecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = k.make(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("key of release records: %w", err)
	}
	if len(found.Data[keyEntry]) < keyBytes {
		return nil, fmt.Errorf("key of release records: Secret %s/%s has no %q of %d bytes: delete it, and another one is made", found.Namespace, found.Name, keyEntry, keyBytes)
	}
	k.bytes = found.Data[keyEntry]
	return k.bytes, nil
}

// make creates the key, or returns the one that another replica created meanwhile.
func (k *Key) make(ctx context.Context) (*corev1.Secret, error) {
	key := make([]byte, keyBytes)
	// It never fails.
	_, _ = rand.Read(key)
	made, err := k.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: KeySecret}, Immutable: ptr.To(true), Data: map[string][]byte{keyEntry: key},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return k.secrets.Get(ctx, KeySecret, metav1.GetOptions{})
	}
	return made, err
}

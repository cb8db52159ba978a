// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
)

const (
	// RecordType is the type of the Secrets that Helm keeps its records in.
	RecordType = corev1.SecretType("helm.sh/release.v1")
	// page is how many objects are listed at a time. Metadata, too, are as large as
	// who wrote them likes.
	page = 5
)

// Secrets are the records in one namespace that this key has sealed. The methods
// of the interface that Helm does not call reach the Secrets as they are.
type Secrets struct {
	typedcorev1.SecretInterface
	metadata  metadata.ResourceInterface
	namespace string
	key       *Key
	// read are records that were found valid. They spare the next list in a row.
	read map[string]*corev1.Secret
}

var _ typedcorev1.SecretInterface = (*Secrets)(nil)

// New returns the records in a namespace. Both clients are of the Secrets in it.
func New(secrets typedcorev1.SecretInterface, objects metadata.Interface, namespace string, key *Key) *Secrets {
	return &Secrets{
		SecretInterface: secrets, metadata: objects.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(namespace),
		namespace: namespace, key: key, read: map[string]*corev1.Secret{},
	}
}

// Create implements typedcorev1.SecretInterface, as do Update, Get, and List. A
// Secret of that name without a valid seal gives way.
func (s *Secrets) Create(ctx context.Context, secret *corev1.Secret, options metav1.CreateOptions) (*corev1.Secret, error) {
	key, err := s.key.get(ctx)
	if err != nil {
		return nil, err
	}
	seal(key, s.namespace, secret)
	made, err := s.SecretInterface.Create(ctx, secret, options)
	if !apierrors.IsAlreadyExists(err) {
		return made, err
	}
	there, readErr := s.metadata.Get(ctx, secret.Name, metav1.GetOptions{})
	if readErr != nil {
		return nil, readErr
	}
	if _, ours := valid(key, s.namespace, there); ours {
		return nil, err
	}
	return s.replace(ctx, there, secret)
}

func (s *Secrets) replace(ctx context.Context, there *metav1.PartialObjectMetadata, secret *corev1.Secret) (*corev1.Secret, error) {
	if err := s.remove(ctx, there); err != nil {
		return nil, err
	}
	return s.SecretInterface.Create(ctx, secret, metav1.CreateOptions{})
}

// Update implements typedcorev1.SecretInterface. A record that somebody made
// immutable, or gave another type, gives way.
func (s *Secrets) Update(ctx context.Context, secret *corev1.Secret, options metav1.UpdateOptions) (*corev1.Secret, error) {
	key, err := s.key.get(ctx)
	if err != nil {
		return nil, err
	}
	seal(key, s.namespace, secret)
	updated, err := s.SecretInterface.Update(ctx, secret, options)
	if !apierrors.IsInvalid(err) {
		return updated, err
	}
	there, readErr := s.metadata.Get(ctx, secret.Name, metav1.GetOptions{})
	if readErr != nil {
		return nil, readErr
	}
	return s.replace(ctx, there, secret)
}

// Get implements typedcorev1.SecretInterface.
func (s *Secrets) Get(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error) {
	key, err := s.key.get(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.SecretInterface.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	if of, ours := valid(key, s.namespace, found); !ours || of != digest(found.Data) {
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	return found, nil
}

// List implements typedcorev1.SecretInterface.
func (s *Secrets) List(ctx context.Context, options metav1.ListOptions) (*corev1.SecretList, error) {
	key, err := s.key.get(ctx)
	if err != nil {
		return nil, err
	}
	list := &corev1.SecretList{}
	return list, s.each(ctx, options.LabelSelector, func(object *metav1.PartialObjectMetadata) error {
		if _, ours := valid(key, s.namespace, object); !ours {
			return nil
		}
		known := s.read[object.Name]
		if known == nil || known.UID != object.UID || known.ResourceVersion != object.ResourceVersion {
			if known, err = s.Get(ctx, object.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
				return nil
			} else if err != nil {
				return err
			}
			s.read[object.Name] = known
		}
		list.Items = append(list.Items, *known.DeepCopy())
		return nil
	})
}

// RemoveForeign deletes the records of a selector that have no valid seal, at most
// so many, and returns how many those were.
func (s *Secrets) RemoveForeign(ctx context.Context, selector string, most int) (int, error) {
	key, err := s.key.get(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	return n, s.each(ctx, selector, func(object *metav1.PartialObjectMetadata) error {
		if _, ours := valid(key, s.namespace, object); ours || n >= most {
			return nil
		}
		n++
		return s.remove(ctx, object)
	})
}

// RemoveAll deletes the records of a selector, whoever wrote them.
func (s *Secrets) RemoveAll(ctx context.Context, selector string) error {
	return s.each(ctx, selector, func(object *metav1.PartialObjectMetadata) error { return s.remove(ctx, object) })
}

func (s *Secrets) remove(ctx context.Context, object *metav1.PartialObjectMetadata) error {
	err := s.SecretInterface.Delete(ctx, object.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &object.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete record %s/%s: %w", s.namespace, object.Name, err)
	}
	return nil
}

// each calls a function for the metadata of every Secret of the records' type, page
// by page.
func (s *Secrets) each(ctx context.Context, selector string, do func(object *metav1.PartialObjectMetadata) error) error {
	options := metav1.ListOptions{LabelSelector: selector, FieldSelector: "type=" + string(RecordType), Limit: page}
	for {
		list, err := s.metadata.List(ctx, options)
		if err != nil {
			return fmt.Errorf("list records in %s: %w", s.namespace, err)
		}
		for i := range list.Items {
			if err := do(&list.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

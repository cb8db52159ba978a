// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// NewDynamicStore is NewStore for a kind that has no Go type here, such as one of a
// CustomResourceDefinition.
func NewDynamicStore(informers *Informers, resource schema.GroupVersionResource, kind string, client dynamic.Interface, options StoreOptions) *Store[*unstructured.Unstructured] {
	clients := func(namespace string) dynamicClient {
		every := client.Resource(resource)
		if namespace == "" {
			return dynamicClient{every, resource.GroupVersion().WithKind(kind)}
		}
		return dynamicClient{every.Namespace(namespace), resource.GroupVersion().WithKind(kind)}
	}
	return NewStore(informers, resource, clients, options)
}

// dynamicClient is a Client of a kind without a Go type.
type dynamicClient struct {
	dynamic.ResourceInterface
	kind schema.GroupVersionKind
}

// Create writes the kind into an object that came from Store.New.
func (c dynamicClient) Create(ctx context.Context, object *unstructured.Unstructured, options metav1.CreateOptions) (*unstructured.Unstructured, error) {
	object.SetGroupVersionKind(c.kind)
	return c.ResourceInterface.Create(ctx, object, options)
}

// Update is that of the dynamic client, without subresources.
func (c dynamicClient) Update(ctx context.Context, object *unstructured.Unstructured, options metav1.UpdateOptions) (*unstructured.Unstructured, error) {
	return c.ResourceInterface.Update(ctx, object, options)
}

// UpdateStatus is that of the dynamic client.
func (c dynamicClient) UpdateStatus(ctx context.Context, object *unstructured.Unstructured, options metav1.UpdateOptions) (*unstructured.Unstructured, error) {
	return c.ResourceInterface.UpdateStatus(ctx, object, options)
}

// Delete is that of the dynamic client, without subresources.
func (c dynamicClient) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	return c.ResourceInterface.Delete(ctx, name, options)
}

// Get is that of the dynamic client, without subresources.
func (c dynamicClient) Get(ctx context.Context, name string, options metav1.GetOptions) (*unstructured.Unstructured, error) {
	return c.ResourceInterface.Get(ctx, name, options)
}

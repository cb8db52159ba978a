// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/action"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// Uninstall implements Interface. Helm deletes what its record says; what it
// cannot, because the record is gone, broken or forged, or because the namespace
// is being emptied under it, is deleted by kind and name.
func (c *Client) Uninstall(ctx context.Context, namespace, name string) error {
	logger := klog.FromContext(ctx)
	c.manifests.forget(Spec{Namespace: namespace, Name: name})
	uninstall := action.NewUninstall(c.configuration(ctx, namespace, name))
	uninstall.DisableHooks, uninstall.IgnoreNotFound, uninstall.DeletionPropagation = true, true, "background"
	if _, err := uninstall.Run(name); err != nil {
		logger.V(1).Info("Helm could not uninstall, deleting by name", "release", klog.KRef(namespace, name), "err", err)
	}
	var errs []error
	for _, kind := range c.kinds {
		for _, object := range namesOf(kind.Kind, name) {
			if err := c.deleteOwned(ctx, kind.Kind, namespace, object, name); err != nil {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, c.deleteRecords(ctx, namespace, name))
	return errors.Join(errs...)
}

// accessor is what deleting by name needs of a typed client.
type accessor struct {
	get    func(ctx context.Context, name string, options metav1.GetOptions) (metav1.Object, error)
	delete func(ctx context.Context, name string, options metav1.DeleteOptions) error
}

func (c *Client) accessor(kind, namespace string) accessor {
	switch kind {
	case "StatefulSet":
		client := c.kube.AppsV1().StatefulSets(namespace)
		return accessor{adapt(client.Get), client.Delete}
	case "Service":
		client := c.kube.CoreV1().Services(namespace)
		return accessor{adapt(client.Get), client.Delete}
	case "NetworkPolicy":
		client := c.kube.NetworkingV1().NetworkPolicies(namespace)
		return accessor{adapt(client.Get), client.Delete}
	case "RoleBinding":
		client := c.kube.RbacV1().RoleBindings(namespace)
		return accessor{adapt(client.Get), client.Delete}
	case "Role":
		client := c.kube.RbacV1().Roles(namespace)
		return accessor{adapt(client.Get), client.Delete}
	default:
		client := c.kube.CoreV1().ServiceAccounts(namespace)
		return accessor{adapt(client.Get), client.Delete}
	}
}

func adapt[T metav1.Object](get func(context.Context, string, metav1.GetOptions) (T, error)) func(context.Context, string, metav1.GetOptions) (metav1.Object, error) {
	return func(ctx context.Context, name string, options metav1.GetOptions) (metav1.Object, error) {
		return get(ctx, name, options)
	}
}

func (c *Client) deleteOwned(ctx context.Context, kind, namespace, name, release string) error {
	client := c.accessor(kind, namespace)
	live, err := client.get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s %s/%s: %w", kind, namespace, name, err)
	}
	if !owned(live, namespace, release) || live.GetDeletionTimestamp() != nil {
		return nil
	}
	uid, background := live.GetUID(), metav1.DeletePropagationBackground
	err = client.delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %s/%s: %w", kind, namespace, name, err)
	}
	return nil
}

// deleteRecords deletes every record of the release, whoever wrote it.
func (c *Client) deleteRecords(ctx context.Context, namespace, name string) error {
	return c.records(namespace).RemoveAll(ctx, recordSelector(name))
}

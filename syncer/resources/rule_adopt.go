// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// adopt finds the object inside that waits for the data of the host object, or makes it again
// of what was copied there. The host has no more of it: what names or selects others cannot
// be made again, nor what stayed inside.
func (r *ruled) adopt(ctx context.Context, host *unstructured.Unstructured) (types.UID, error) {
	identity, _ := r.b.Translator.IdentityOf(host)
	writer := r.virtual.Writer(identity.Namespace)
	found, err := writer.Get(ctx, identity.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return r.makeAgain(ctx, host, identity)
	case err != nil:
		return "", fmt.Errorf("read inside: %w", err)
	case found.GetDeletionTimestamp() != nil:
		return "", errors.New("an object of that name is being deleted inside: wait until it is gone, and decide again")
	}
	if !slices.Contains(found.GetFinalizers(), tenancyv1.FinalizerData) {
		// Before it has the data: its deletion is seen from now on.
		found.SetFinalizers(append(found.GetFinalizers(), tenancyv1.FinalizerData))
		if found, err = writer.Update(ctx, found, metav1.UpdateOptions{}); err != nil {
			return "", fmt.Errorf("finalizer inside: %w", err)
		}
	}
	return found.GetUID(), nil
}

func (r *ruled) makeAgain(ctx context.Context, host *unstructured.Unstructured, identity translate.Identity) (types.UID, error) {
	fields, _, err := r.tree.restore("", "", host.Object)
	if err != nil {
		return "", fmt.Errorf("%w: create the object inside, as it was, and decide again", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: identity.Namespace}}
	if _, err := r.b.Virtual.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create namespace inside: %w", err)
	}
	made := &unstructured.Unstructured{Object: fields.(map[string]any)}
	made.SetName(identity.Name)
	made.SetNamespace(identity.Namespace)
	made.SetLabels(translate.TenantLabels(host.GetLabels()))
	made.SetFinalizers([]string{tenancyv1.FinalizerData})
	created, err := r.virtual.Writer(identity.Namespace).Create(ctx, made, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create inside: %w", err)
	}
	return created.GetUID(), nil
}

// restore is what a host object has of the object that it was made from, where that is in it
// as it was. An error names a field that is not.
func (f *fieldTree) restore(around tenancyv1.FieldUse, path string, value any) (out any, keep bool, err error) {
	use := f.use(around)
	switch use {
	case tenancyv1.FieldName, tenancyv1.FieldReference, tenancyv1.FieldLabels, tenancyv1.FieldSelector:
		return nil, false, fmt.Errorf("%s is a name on the host, and nothing records what it was inside", path)
	case tenancyv1.FieldNamespace, tenancyv1.FieldOmitted, tenancyv1.FieldRefused:
		return nil, false, nil
	}
	if items, is := value.([]any); is && f.each {
		one, list := fieldTree{rule: f.rule, within: f.within}, make([]any, 0, len(items))
		for i, item := range items {
			out, keep, err := one.restore(around, fmt.Sprintf("%s[%d]", path, i), item)
			if err != nil {
				return nil, false, err
			}
			if keep {
				list = append(list, out)
			}
		}
		return list, use == tenancyv1.FieldCopied || len(list) > 0, nil
	}
	fields, is := value.(map[string]any)
	if !is || len(f.within) == 0 {
		return runtime.DeepCopyJSONValue(value), use == tenancyv1.FieldCopied, nil
	}
	made := map[string]any{}
	for _, name := range sortedKeys(fields) {
		at := name
		if path != "" {
			at = path + "." + name
		}
		field, ruled := f.within[name]
		if !ruled {
			if use == tenancyv1.FieldCopied {
				made[name] = runtime.DeepCopyJSONValue(fields[name])
			}
			continue
		}
		out, keep, err := field.restore(use, at, fields[name])
		if err != nil {
			return nil, false, err
		}
		if keep {
			made[name] = out
		}
	}
	return made, use == tenancyv1.FieldCopied || len(made) > 0, nil
}

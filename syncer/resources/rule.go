// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"garret.dev/garret/syncer/engine"
)

// Rule says what of a kind is carried that has no Go type here, such as one of a
// CustomResourceDefinition.
type Rule struct {
	// Fields are the paths of what goes to the host, such as [spec replicas].
	Fields [][]string
	// Status are the paths of what comes back inside, within the status.
	Status [][]string
}

// declared is the kind that the rule describes. It writes inside to the store.
func (r Rule) declared(virtual *engine.Store[*unstructured.Unstructured]) declared[*unstructured.Unstructured] {
	return declared[*unstructured.Unstructured]{
		apply: func(virtual, host *unstructured.Unstructured) error { return copyFields(r.Fields, virtual, host) },
		status: func(ctx context.Context, object, host *unstructured.Unstructured) error {
			return r.report(ctx, virtual, object, host)
		},
	}
}

// report writes the status inside where the host's differs.
func (r Rule) report(ctx context.Context, store *engine.Store[*unstructured.Unstructured], virtual, host *unstructured.Unstructured) error {
	changed := virtual.DeepCopy()
	if err := copyFields(r.Status, host, changed); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(changed, virtual) {
		return nil
	}
	writer, ok := store.Writer(virtual.GetNamespace()).(statusWriter[*unstructured.Unstructured])
	if !ok {
		return fmt.Errorf("the store of %s writes no status", store.Resource().Resource)
	}
	if _, err := writer.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

// copyFields makes each field of the one object what it is in the other, or absent.
func copyFields(paths [][]string, from, to *unstructured.Unstructured) error {
	for _, path := range paths {
		value, found, err := unstructured.NestedFieldCopy(from.Object, path...)
		if err != nil {
			return engine.Refuse(reasonUntranslatable, fmt.Sprintf("field %v cannot be read: %v", path, err))
		}
		if !found {
			unstructured.RemoveNestedField(to.Object, path...)
			continue
		}
		if to.Object == nil {
			to.Object = map[string]any{}
		}
		if err := unstructured.SetNestedField(to.Object, value, path...); err != nil {
			return engine.Refuse(reasonUntranslatable, fmt.Sprintf("field %v cannot be written: %v", path, err))
		}
	}
	return nil
}

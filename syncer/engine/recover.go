// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Adopter is a Keeper of which a host object can be given a virtual one again.
type Adopter[T Object] interface {
	// Adopt creates the virtual object that the host object holds the data of, or
	// finds one that waits for them, and returns its UID.
	Adopt(ctx context.Context, host T) (types.UID, error)
}

// Survey holds the host objects of one kind without a virtual object.
type Survey struct {
	Resource string
	// Keeps says that these objects hold data: they are kept, and marked as orphans.
	Keeps bool
	Count int
}

// Survey looks for host objects whose virtual object is missing, and marks those
// that hold data. It deletes nothing. The caches must have synced.
func (t *Twin[T]) Survey(ctx context.Context) (Survey, error) {
	found := Survey{Resource: t.resource.GroupResource().String(), Keeps: t.keeps}
	var errs []error
	for _, host := range t.host.List() {
		if !t.isMissingInside(host) {
			continue
		}
		found.Count++
		if t.keeps {
			identity, _ := t.translator.IdentityOf(host)
			t.reportOrphan(identity.NamespacedName, true)
			errs = append(errs, t.markOrphan(ctx, host))
		}
	}
	return found, errors.Join(errs...)
}

// isMissingInside tells whether the virtual object that the host object was made
// for is not there.
func (t *Twin[T]) isMissingInside(host T) bool {
	identity, ours := t.translator.IdentityOf(host)
	if !ours || identity.Kind != "" || identity.UID == "" || host.GetDeletionTimestamp() != nil {
		return false
	}
	if host.GetName() != t.translator.HostName(identity.Namespace, identity.Name) {
		return false // somebody's copy
	}
	virtual, inside := t.virtual.Get(identity.Namespace, identity.Name)
	return !inside || virtual.GetUID() != identity.UID
}

// Recover does with all host objects that hold data and have lost their virtual
// object what somebody decided: it has them adopted inside, or deletes them and
// their data. One that fails holds up no other.
func (t *Twin[T]) Recover(ctx context.Context, decision string) error {
	if !t.keeps {
		return nil
	}
	var errs []error
	for _, host := range t.host.List() {
		if !t.isMissingInside(host) {
			continue
		}
		var err error
		if decision == tenancyv1.RecoverGiveUp {
			err = t.remove(ctx, host)
		} else if adopter, can := t.kind.(Adopter[T]); can {
			err = t.adopt(ctx, adopter, host)
		}
		if err != nil {
			identity, _ := t.translator.IdentityOf(host)
			errs = append(errs, fmt.Errorf("%s %s: %w", t.resource.Resource, identity, err))
		}
	}
	return errors.Join(errs...)
}

// adopt gives the host object to the virtual one that stands for its data from now on.
func (t *Twin[T]) adopt(ctx context.Context, adopter Adopter[T], host T) error {
	uid, err := adopter.Adopt(ctx, host)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": host.GetUID(), "labels": map[string]any{tenancyv1.LabelOrphan: nil},
		"annotations": map[string]any{tenancyv1.AnnotationVirtualUID: uid, tenancyv1.AnnotationIncarnation: t.translator.Cluster().Incarnation},
	}})
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	_, err = t.host.Writer(host.GetNamespace()).Patch(ctx, host.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("adopt: %w", err)
	}
	klog.FromContext(ctx).Info("Adopted a host object that holds data", "host", klog.KObj(host), "uid", uid)
	return nil
}

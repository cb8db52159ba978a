// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ReasonDataKept is the reason of Events about a host object that stands in the
// way because it holds the data of another virtual object of the name.
const ReasonDataKept = "HostDataKept"

// keep brings a virtual object and a twin that holds data together. The host
// object goes only here, while the virtual object of its UID is being deleted.
func (t *Twin[T]) keep(ctx context.Context, virtual, host T, hosted, ofAnother bool) error {
	if virtual.GetDeletionTimestamp() != nil {
		return t.endKept(ctx, virtual, host, hosted && !ofAnother)
	}
	if ofAnother {
		if err := t.markOrphan(ctx, host); err != nil {
			return err
		}
		return Refuse(ReasonDataKept, fmt.Sprintf("the host cluster keeps the data of an earlier object of this name, in %s. Use another name, or ask the host's administrator to run garret recover", host.GetName()))
	}
	if slices.Contains(virtual.GetFinalizers(), tenancyv1.FinalizerData) {
		return t.reconcile(ctx, virtual, host, hosted)
	}
	// Without it a deletion could go unseen. The change brings the object back.
	return setFinalizers(ctx, t.virtual, virtual, append(slices.Clone(virtual.GetFinalizers()), tenancyv1.FinalizerData))
}

// endKept deletes the host object once nothing else holds the virtual one, and
// lets the virtual one go when the host object is gone.
func (t *Twin[T]) endKept(ctx context.Context, virtual, host T, hosted bool) error {
	finalizers := virtual.GetFinalizers()
	if !slices.Contains(finalizers, tenancyv1.FinalizerData) {
		if hosted {
			// It got none in time, and is seen being deleted all the same.
			return t.remove(ctx, host)
		}
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return f == tenancyv1.FinalizerData })
	if len(others) > 0 {
		// It is in use still, as a claim is until its last pod has ended.
		return nil
	}
	if hosted {
		return t.remove(ctx, host)
	}
	// The cache may not know yet what was made a moment ago.
	name := t.translator.HostName(virtual.GetNamespace(), virtual.GetName())
	found, err := t.host.Writer(t.host.Namespace()).Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil && t.translator.IsOurs(found) && !t.isOfAnother(virtual, found):
		return t.remove(ctx, found)
	case err != nil && !apierrors.IsNotFound(err):
		return OnHost("read", err)
	}
	return setFinalizers(ctx, t.virtual, virtual, others)
}

func setFinalizers[T Object](ctx context.Context, store *Store[T], virtual T, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": virtual.GetUID(), "resourceVersion": virtual.GetResourceVersion(), "finalizers": finalizers}})
	if err != nil {
		return fmt.Errorf("finalizer inside: %w", err)
	}
	_, err = store.Writer(virtual.GetNamespace()).Patch(ctx, virtual.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("finalizer inside: %w", err)
	}
	return nil
}

// markOrphan labels a host object that holds data and has lost its virtual one.
// The label goes when one of the same UID is there again.
func (t *Twin[T]) markOrphan(ctx context.Context, host T) error {
	if host.GetLabels()[tenancyv1.LabelOrphan] != "" || host.GetDeletionTimestamp() != nil {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": host.GetUID(), "labels": map[string]string{tenancyv1.LabelOrphan: "true"}}})
	if err != nil {
		return fmt.Errorf("mark as orphan: %w", err)
	}
	_, err = t.host.Writer(host.GetNamespace()).Patch(ctx, host.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mark %s %s as orphan: %w", t.resource.Resource, klog.KObj(host), err)
	}
	klog.FromContext(ctx).Info("Keeping a host object that holds data: its virtual object is missing, and nobody was seen deleting it", "host", klog.KObj(host))
	return nil
}

// orphanage knows which objects of a kind are missing inside while the host holds their data.
type orphanage struct {
	mu    sync.Mutex
	names map[string]bool
}

// note takes down whether one is, and returns all of them, sorted, if that is new.
func (o *orphanage) note(name string, orphaned bool) (all []string, changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.names[name] == orphaned {
		return nil, false
	}
	if orphaned {
		o.names[name] = true
	} else {
		delete(o.names, name)
	}
	return slices.Sorted(maps.Keys(o.names)), true
}

// reportOrphan tells whether the host object is kept because its virtual one is missing.
func (t *Twin[T]) reportOrphan(key types.NamespacedName, orphaned bool) {
	names, changed := t.kept.note(key.String(), orphaned)
	if !changed {
		return
	}
	// Two kinds may have one name in different groups.
	resource := t.resource.GroupResource().String()
	t.metrics.orphaned(resource, len(names))
	if t.orphans != nil {
		t.orphans(resource, names)
	}
}

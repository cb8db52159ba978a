// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/isolation"
	"garret.dev/garret/syncer/translate"
)

// ownContents are the VolumeSnapshotContents of the tenant, each of a snapshot that exists.
//
// One reaches the host only when a snapshot inside names it, and the snapshot's twin there names
// it already. So a content on the host always has a volumeSnapshotRef with the UID of that snapshot,
// and no other snapshot of the host can ever bind it.
type ownContents struct {
	*builder
	snapshots     *ruled
	virtual, host *engine.Store[*unstructured.Unstructured]
	hasStatus     bool
}

// tenantContents adds the controller of the tenant's contents, where both sides serve them and
// snapshots go to the host.
func (b *builder) tenantContents() {
	kind, served := b.wideKind(tenancyv1.ResourceSnapshotContents)
	snapshots := b.ruledKind(tenancyv1.SnapshotDefinition)
	if !served || snapshots == nil {
		return
	}
	at := kind.GroupVersionResource()
	o := &ownContents{b, snapshots,
		b.contentsInside(kind),
		engine.NewDynamicStore(b.Host.Informers, at, kind.Kind, b.Rules.Host, markedAnywhere(b.Translator.Cluster())), kind.HasStatus}
	b.ownContents = o
	declare(b, o.virtual, o.host, declared[*unstructured.Unstructured]{
		wanted: o.owned, unwanted: unwantedMapped, apply: o.apply, missing: o.missing, status: o.report, adopt: o.adopt, keepsData: true,
		follows: []follow{{snapshots.virtual.Informer(), ofNaming}, {snapshots.host.Informer(), o.ofHostSnapshot}},
	})
}

// owned says whether the content is the tenant's, and not shown of the host.
func (o *ownContents) owned(virtual *unstructured.Unstructured) bool { return !o.namesItself(virtual) }

// contentsReleased lets contents go that are not synced.
func (b *builder) contentsReleased() {
	if b.Rules.Virtual == nil {
		return
	}
	row, _ := tenancyv1.CataloguedKind(tenancyv1.OwnSnapshotContents)
	b.released(engine.NewDynamicStore(b.Virtual.Informers, row.GroupVersionResource(), "", b.Rules.Virtual, engine.StoreOptions{}))
}

// namedContent is the content that a snapshot names as its source.
func namedContent(snapshot *unstructured.Unstructured) (name string, named bool) {
	value, named, _ := unstructured.NestedFieldNoCopy(snapshot.Object, "spec", "source", snapshotContentName)
	name, _ = value.(string)
	return name, named
}

// ofNaming names the content that a snapshot inside names.
func ofNaming(snapshot any) []types.NamespacedName {
	if name, _ := namedContent(snapshot.(*unstructured.Unstructured)); name != "" {
		return []types.NamespacedName{{Name: name}}
	}
	return nil
}

// ofHostSnapshot names the content of the snapshot inside that one on the host is the twin of.
func (o *ownContents) ofHostSnapshot(object any) []types.NamespacedName {
	identity, ours := o.Translator.IdentityOf(object.(*unstructured.Unstructured))
	if !ours {
		return nil
	}
	inside, found := o.snapshots.virtual.Get(identity.Namespace, identity.Name)
	if !found {
		return nil
	}
	return ofNaming(inside)
}

// judge says what of the content keeps it from the host.
func (o *ownContents) judge(virtual *unstructured.Unstructured) (*tenancyv1.SnapshotContentSpec, error) {
	fields, _, _ := unstructured.NestedMap(virtual.Object, "spec")
	spec := &tenancyv1.SnapshotContentSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, spec); err != nil {
		return nil, engine.Refuse(reasonUntranslatable, fmt.Sprintf("spec cannot be read: %v; write it as external-snapshotter's definition says", err))
	}
	return spec, forbidden(isolation.SnapshotContent(spec, o.Exceptions))
}

// hostSnapshot is the snapshot on the host that waits for the content, or has it.
func (o *ownContents) hostSnapshot(virtual *unstructured.Unstructured) (inside, host *unstructured.Unstructured, bound bool) {
	namespace, name, uid := referenceOf(virtual)
	inside, found := o.snapshots.virtual.Get(namespace, name)
	if !found || uid != "" && uid != inside.GetUID() {
		return nil, nil, false
	}
	if named, _ := namedContent(inside); named != virtual.GetName() {
		return nil, nil, false
	}
	host, found = o.snapshots.host.Get(o.snapshots.host.Namespace(), o.Translator.HostName(namespace, name))
	if !found || host.GetDeletionTimestamp() != nil {
		return nil, nil, false
	}
	identity, ours := o.Translator.IdentityOf(host)
	named, _ := namedContent(host)
	return inside, host, ours && identity.UID == inside.GetUID() && named == o.Translator.HostName("", virtual.GetName())
}

// apply translates the content. What one is made of cannot be changed, on either side. The
// administrator's taking an allowance back leaves a content as it is.
func (o *ownContents) apply(virtual, host *unstructured.Unstructured) error {
	spec, err := o.judge(virtual)
	if err != nil {
		return err
	}
	_, snapshot, bound := o.hostSnapshot(virtual)
	if host.GetUID() == "" {
		if !bound {
			return engine.Again("no volume snapshot inside names it yet")
		}
		made := map[string]any{"driver": spec.Driver, "deletionPolicy": spec.DeletionPolicy, "source": map[string]any{"snapshotHandle": spec.Source.SnapshotHandle}}
		if spec.SourceVolumeMode != "" {
			made["sourceVolumeMode"] = spec.SourceVolumeMode
		}
		if host.Object == nil {
			host.Object = map[string]any{}
		}
		host.Object["spec"] = made
	}
	if !bound || host.GetUID() != "" && refersTo(host, snapshot) {
		return nil
	}
	return unstructured.SetNestedMap(host.Object, map[string]any{
		"apiVersion": snapshot.GetAPIVersion(), "kind": snapshot.GetKind(),
		"namespace": snapshot.GetNamespace(), "name": snapshot.GetName(), "uid": string(snapshot.GetUID()),
	}, "spec", "volumeSnapshotRef")
}

// missing keeps a content from the host that no snapshot there waits for.
func (o *ownContents) missing(_ context.Context, virtual *unstructured.Unstructured) (bool, error) {
	if _, err := o.judge(virtual); err != nil {
		return true, err
	}
	_, _, bound := o.hostSnapshot(virtual)
	return !bound, nil
}

// report has the content name its snapshot for good, as the controller of snapshots does, and
// reports the status.
func (o *ownContents) report(ctx context.Context, virtual, host *unstructured.Unstructured) error {
	inside, snapshot, bound := o.hostSnapshot(virtual)
	if _, _, uid := referenceOf(virtual); bound && uid == "" && refersTo(host, snapshot) && virtual.GetDeletionTimestamp() == nil {
		named := virtual.DeepCopy()
		if err := unstructured.SetNestedField(named.Object, string(inside.GetUID()), "spec", "volumeSnapshotRef", "uid"); err != nil {
			return fmt.Errorf("spec.volumeSnapshotRef inside: %w", err)
		}
		updated, err := o.virtual.Writer("").Update(ctx, named, metav1.UpdateOptions{})
		if err != nil {
			return again("bind content "+virtual.GetName()+" inside", err)
		}
		virtual = updated
	}
	writer, ok := o.virtual.Writer("").(statusWriter[*unstructured.Unstructured])
	if !o.hasStatus || !ok {
		return nil
	}
	changed, readable := virtual.DeepCopy(), o.Translator.Readable("", virtual.GetName()).Replace
	if inside != nil {
		of := o.snapshots.readable(inside)
		readable = func(text string) string { return of(o.Translator.Readable("", virtual.GetName()).Replace(text)) }
	}
	contentStatus(host, changed, readable)
	if equality.Semantic.DeepEqual(changed, virtual) {
		return nil
	}
	if _, err := writer.UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("status inside: %w", err)
	}
	return nil
}

// judgeNamed says why a snapshot may not have the content that it names, or nothing.
func (o *ownContents) judgeNamed(virtual, host *unstructured.Unstructured, content string) error {
	refuse := func(why string) error {
		return engine.Refuse(reasonForbidden, fmt.Sprintf("spec.source.%s is %q: %s", snapshotContentName, content, why))
	}
	if o == nil {
		return refuse("contents belong to the whole host, and hold the data of others; spec.syncer.toHost.volumeSnapshotContents of the VirtualCluster has the tenant's own go there as the HostCluster allows, and persistentVolumeClaimName has a snapshot taken")
	}
	if claim, _, _ := unstructured.NestedFieldNoCopy(virtual.Object, "spec", "source", "persistentVolumeClaimName"); claim != nil || content == "" {
		return refuse("a snapshot has one source; name a content or a claim")
	}
	if host.GetUID() != "" {
		if before, _ := namedContent(host); before != o.Translator.HostName("", content) {
			return refuse("the source of a snapshot cannot be changed; create another snapshot")
		}
		return nil
	}
	own, found := o.virtual.Get("", content)
	if !found || o.namesItself(own) || own.GetDeletionTimestamp() != nil {
		return refuse("it is no content that was created inside; create one there with spec.source.snapshotHandle, or set persistentVolumeClaimName")
	}
	namespace, name, uid := referenceOf(own)
	if namespace != virtual.GetNamespace() || name != virtual.GetName() || uid != "" && uid != virtual.GetUID() {
		return refuse("spec.volumeSnapshotRef of the content names another snapshot; it has to name this one, without a uid")
	}
	if _, err := o.judge(own); err != nil {
		return refuse("the content cannot go to the host cluster: " + err.Error())
	}
	if held, there := o.host.Get("", o.Translator.HostName("", content)); there {
		if identity, ours := o.Translator.IdentityOf(held); !ours || identity.UID != own.GetUID() {
			return engine.Refuse(engine.ReasonDataKept, fmt.Sprintf("the host cluster has a content for %s that belongs to another content", content))
		}
	}
	return nil
}

// adopt creates the content inside again, or finds the same one.
func (o *ownContents) adopt(ctx context.Context, host *unstructured.Unstructured) (types.UID, error) {
	identity, _ := o.Translator.IdentityOf(host)
	writer := o.virtual.Writer("")
	found, err := writer.Get(ctx, identity.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return o.makeAgain(ctx, host, identity.Name)
	case err != nil:
		return "", fmt.Errorf("read inside: %w", err)
	case found.GetDeletionTimestamp() != nil:
		return "", errors.New("a content of that name is being deleted inside: wait until it is gone, and decide again")
	case o.namesItself(found):
		return "", errors.New("a content of the host is shown inside under that name: delete its snapshot inside, and decide again")
	case !sameSource(found, host):
		return "", fmt.Errorf("a content of that name inside has another snapshot: delete it inside, or the one on the host, %s", host.GetName())
	}
	if !slices.Contains(found.GetFinalizers(), tenancyv1.FinalizerData) {
		found.SetFinalizers(append(found.GetFinalizers(), tenancyv1.FinalizerData))
		if found, err = writer.Update(ctx, found, metav1.UpdateOptions{}); err != nil {
			return "", fmt.Errorf("finalizer inside: %w", err)
		}
	}
	return found.GetUID(), nil
}

func (o *ownContents) makeAgain(ctx context.Context, host *unstructured.Unstructured, name string) (types.UID, error) {
	namespace, called, _ := referenceOf(host)
	snapshot, found := o.snapshots.host.Get(namespace, called)
	of, ours := translate.Identity{}, false
	if found && refersTo(host, snapshot) {
		of, ours = o.Translator.IdentityOf(snapshot)
	}
	if !ours {
		return "", errors.New("its snapshot on the host is gone, and nothing records which one it was inside: create the content inside again, as it was, and decide again")
	}
	spec, _, _ := unstructured.NestedMap(host.Object, "spec")
	delete(spec, snapshotClassName)
	spec["volumeSnapshotRef"] = map[string]any{"apiVersion": snapshot.GetAPIVersion(), "kind": snapshot.GetKind(), "namespace": of.Namespace, "name": of.Name}
	made := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	made.SetName(name)
	made.SetLabels(translate.TenantLabels(host.GetLabels()))
	made.SetFinalizers([]string{tenancyv1.FinalizerData})
	created, err := o.virtual.Writer("").Create(ctx, made, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create inside: %w", err)
	}
	return created.GetUID(), nil
}

// sameSource tells whether two contents are of the same snapshot of a driver.
func sameSource(one, other *unstructured.Unstructured) bool {
	for _, path := range [][]string{{"spec", "driver"}, {"spec", "source"}} {
		a, _, _ := unstructured.NestedFieldNoCopy(one.Object, path...)
		b, _, _ := unstructured.NestedFieldNoCopy(other.Object, path...)
		if !equality.Semantic.DeepEqual(a, b) {
			return false
		}
	}
	return true
}

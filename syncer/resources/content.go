// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

const (
	// indexContent finds the host's snapshots by the content that they are bound to.
	indexContent = "content"
	// contentAgain is when a shown content is compared with the host's again. The host's snapshot
	// changes with its content, but not with what an administrator changes of that.
	contentAgain = 10 * time.Minute
	// contentGoing is when a content is looked for again whose snapshot is gone. Nobody watches it.
	contentGoing = 2 * time.Second
)

// contents are the host's contents of the tenant's own snapshots, as they are shown inside.
//
// A content belongs to the whole host. The syncer may get one by its name, and lists none. It asks
// for the names that snapshots of the host have in their status, and shows a content only when that
// names such a snapshot back, with the UID. Nothing that a tenant writes decides what is shown.
// A content keeps its name inside.
type contents struct {
	*builder
	snapshots *ruled
	virtual   *engine.Store[*unstructured.Unstructured]
	host      dynamic.ResourceInterface
	hasStatus bool
}

// boundTo is a content with the snapshot that it is bound to, on both sides.
type boundTo struct{ inside, snapshot, content *unstructured.Unstructured }

// snapshotContents shows the contents, where both sides serve them and snapshots go to the host.
func (b *builder) snapshotContents() {
	kind, served := b.wideKind(tenancyv1.ResourceSnapshotContents)
	snapshots := b.ruledKind(tenancyv1.SnapshotDefinition)
	if !served || snapshots == nil {
		return
	}
	at := kind.GroupVersionResource()
	c := &contents{b, snapshots, b.contentsInside(kind), b.Rules.Host.Resource(at), kind.HasStatus}
	b.contents = c
	controller := b.controller(at.Resource, otherWorkers, c)
	b.engine.AddLooker(engine.LookedAt{Name: at.Resource, Resource: at.GroupResource()}, c)
	b.watch(controller, c.virtual.Informer(), engine.SameKey)
	b.watch(controller, snapshots.host.Informer(), contentOf)
	b.watch(controller, snapshots.virtual.Informer(), c.ofSnapshot)
}

// contentsInside are all contents inside, for those that are shown and those of the tenant.
func (b *builder) contentsInside(kind RuledKind) *engine.Store[*unstructured.Unstructured] {
	if b.contents != nil {
		return b.contents.virtual
	}
	return engine.NewDynamicStore(b.Virtual.Informers, kind.GroupVersionResource(), kind.Kind, b.Rules.Virtual, engine.StoreOptions{})
}

// wideKind is a kind of cluster scope that both sides serve.
func (b *builder) wideKind(resource string) (RuledKind, bool) {
	for _, kind := range b.Rules.Classes {
		if kind.Resource == resource {
			return kind, true
		}
	}
	return RuledKind{}, false
}

// ruledKind is a kind with a rule; nil for none.
func (b *builder) ruledKind(definition string) *ruled {
	for _, r := range b.ruled {
		if r.Definition() == definition {
			return r
		}
	}
	return nil
}

// contentOf names the content that a snapshot of the host is bound to.
func contentOf(snapshot any) []types.NamespacedName {
	if name := contentNameOf(snapshot.(*unstructured.Unstructured)); name != "" {
		return []types.NamespacedName{{Name: name}}
	}
	return nil
}

func contentNameOf(snapshot *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(snapshot.Object, "status", boundContentName)
	return name
}

func byContent(object any) ([]string, error) {
	snapshot, ok := object.(*unstructured.Unstructured)
	if !ok || contentNameOf(snapshot) == "" {
		return nil, nil
	}
	return []string{contentNameOf(snapshot)}, nil
}

// ofSnapshot names the content of a snapshot inside: that of the host's, or the one that it had.
func (c *contents) ofSnapshot(object any) []types.NamespacedName {
	snapshot := object.(*unstructured.Unstructured)
	keys := contentOf(snapshot)
	if host, found := c.snapshots.host.Get(c.snapshots.host.Namespace(), c.Translator.HostName(snapshot.GetNamespace(), snapshot.GetName())); found {
		keys = append(keys, contentOf(host)...)
	}
	return keys
}

// Reconcile shows one content as the host has it now.
func (c *contents) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	m, err := c.mirror(ctx, key.Name)
	if err != nil {
		return 0, err
	}
	return m.Reconcile(ctx, key)
}

// Look says what both sides have of one content.
func (c *contents) Look(ctx context.Context, key types.NamespacedName) (*engine.Look, error) {
	m, err := c.mirror(ctx, key.Name)
	if err != nil {
		return nil, err
	}
	return m.Look(ctx, key)
}

// mirror decides what becomes of one content inside, out of what the host has of it now.
func (c *contents) mirror(ctx context.Context, name string) (*mirror[*unstructured.Unstructured], error) {
	m := &mirror[*unstructured.Unstructured]{virtual: c.virtual, apply: func(*unstructured.Unstructured) {}}
	becomes := func(what fate) {
		m.fate = func(types.NamespacedName, *unstructured.Unstructured, bool) (fate, error) { return what, nil }
	}
	inside, found := c.virtual.Get("", name)
	bound := c.named(name)
	if found && !c.namesItself(inside) || !found && bound == nil {
		becomes(fate{kept: true})
		return m, nil
	}
	content, err := c.host.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		becomes(fate{})
	case err != nil:
		return nil, engine.OnHost("get content "+name, err)
	case bound != nil && refersTo(content, bound.snapshot):
		bound.content = content
		m.apply = func(object *unstructured.Unstructured) { c.apply(object, bound) }
		if c.hasStatus {
			m.status = func(object *unstructured.Unstructured) { c.status(object, bound) }
		}
		m.onHost = func(string) (engine.Object, bool) { return content, true }
		becomes(fate{shown: true, again: contentAgain})
	case found && c.outlives(inside, content):
		becomes(fate{kept: true, again: c.later(content)})
	default:
		becomes(fate{})
	}
	return m, nil
}

// named is the snapshot on both sides whose twin on the host is bound to a content of the name; nil for none.
func (c *contents) named(name string) *boundTo {
	for _, host := range c.snapshots.host.ByIndex(indexContent, name) {
		identity, ours := c.Translator.IdentityOf(host)
		if !ours {
			continue
		}
		inside, found := c.snapshots.virtual.Get(identity.Namespace, identity.Name)
		if _, own := namedContent(host); own {
			continue // the tenant's, which is inside already
		}
		if found && inside.GetUID() == identity.UID {
			return &boundTo{inside: inside, snapshot: host}
		}
	}
	return nil
}

// refersTo tells whether the content is that of the snapshot, and of no other life of it.
func refersTo(content, snapshot *unstructured.Unstructured) bool {
	namespace, name, uid := referenceOf(content)
	return namespace == snapshot.GetNamespace() && name == snapshot.GetName() && uid == snapshot.GetUID() && uid != ""
}

func referenceOf(content *unstructured.Unstructured) (namespace, name string, uid types.UID) {
	reference, _, _ := unstructured.NestedStringMap(content.Object, "spec", "volumeSnapshotRef")
	return reference["namespace"], reference["name"], types.UID(reference["uid"])
}

// outlives tells whether the host still has the content of a snapshot that is gone: its driver deletes the
// data, or the policy is Retain. It compares names of this virtual cluster, so others stay unknown.
func (c *contents) outlives(inside, content *unstructured.Unstructured) bool {
	namespace, name, _ := referenceOf(inside)
	there, called, _ := referenceOf(content)
	return there == c.Translator.Cluster().HostNamespace && called == c.Translator.HostName(namespace, name)
}

// later is when a content without a snapshot inside is looked for again.
func (c *contents) later(content *unstructured.Unstructured) time.Duration {
	if deleted := content.GetDeletionTimestamp(); deleted != nil {
		// A driver that cannot delete it now may take days.
		return min(max(contentGoing, c.Clock.Since(deleted.Time)/10), contentAgain)
	}
	policy, _, _ := unstructured.NestedString(content.Object, "spec", "deletionPolicy")
	if policy == "Delete" && len(c.snapshots.host.ByIndex(indexContent, content.GetName())) == 0 {
		return contentGoing
	}
	return contentAgain
}

// apply makes the content inside what the host's is, with the names inside. Annotations stay on the
// host: they name Secrets.
func (c *contents) apply(object *unstructured.Unstructured, of *boundTo) {
	host, _, _ := unstructured.NestedMap(of.content.Object, "spec")
	spec := map[string]any{"volumeSnapshotRef": map[string]any{
		"apiVersion": of.inside.GetAPIVersion(), "kind": of.inside.GetKind(),
		"namespace": of.inside.GetNamespace(), "name": of.inside.GetName(), "uid": string(of.inside.GetUID()),
	}}
	for _, field := range []string{"driver", "deletionPolicy", "source", "sourceVolumeMode"} {
		if value, has := host[field]; has {
			spec[field] = runtime.DeepCopyJSONValue(value)
		}
	}
	// A class of the tenant's stands for one of the host.
	if class := classNameOf(of.inside); class != "" {
		spec[snapshotClassName] = class
	} else if class, named := host[snapshotClassName].(string); named && c.showsClass(class) {
		spec[snapshotClassName] = class
	}
	if object.Object == nil {
		object.Object = map[string]any{}
	}
	object.Object["spec"] = spec
	show(object, tenancyv1.LabelCluster, c.Translator.Cluster().ID)
}

// status reports that of the host's content.
func (c *contents) status(object *unstructured.Unstructured, of *boundTo) {
	contentStatus(of.content, object, c.snapshots.readable(of.inside))
}

// contentStatus gives the content inside the status of the host's, in the names inside.
func contentStatus(host, inside *unstructured.Unstructured, readable func(string) string) {
	reported, _, _ := unstructured.NestedMap(host.Object, "status")
	status := map[string]any{}
	for _, field := range []string{"creationTime", "error", "readyToUse", "restoreSize", "snapshotHandle"} {
		if value, has := reported[field]; has {
			status[field] = mapText(value, readable)
		}
	}
	if len(status) == 0 {
		delete(inside.Object, "status")
		return
	}
	inside.Object["status"] = status
}

// boundName is the name inside of the content that the snapshot is bound to; empty for none that is
// shown. A content that is about to be shown comes before its name.
func (c *contents) boundName(ctx context.Context, virtual, host *unstructured.Unstructured) (string, error) {
	name := contentNameOf(host)
	if c == nil || name == "" {
		return "", nil
	}
	if inside, found := c.virtual.Get("", name); found {
		if _, _, uid := referenceOf(inside); c.namesItself(inside) && uid == virtual.GetUID() {
			return name, nil
		}
		if !c.namesItself(inside) {
			return "", nil // a tenant's own of that name
		}
	}
	content, err := c.host.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("get content %s on the host: %w", name, err)
	case !refersTo(content, host):
		return "", nil
	}
	return "", engine.Again("the content of the snapshot is not shown inside yet")
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// page is how many objects are listed at a time.
const page = 20

// madeBy selects what the syncer of a virtual cluster made on the host.
func madeBy(vc *tenancyv1.VirtualCluster) string {
	return tenancyv1.LabelCluster + "=" + clusterID(vc)
}

// unsynced are the kinds that a syncer with these arguments has no twins of. Nil is
// for arguments that it does not take.
func unsynced(args []string) []tenancyv1.SyncedKind {
	synced, err := tenancyv1.SelectByArgs(args)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(tenancyv1.Catalogue(), func(kind tenancyv1.SyncedKind) bool {
		return kind.Direction != tenancyv1.ToHost || synced[kind.Name()]
	})
}

func namesOf(kinds []tenancyv1.SyncedKind) string {
	var names []string
	for _, kind := range kinds {
		names = append(names, kind.Name())
	}
	return strings.Join(names, ",")
}

// clearUnsynced deletes what kinds that are switched off left on the host, and marks
// what of it holds data. It does so once after each change, and returns whether
// something is on its way out still. It waits for a pod whose syncer has the kinds off:
// the previous syncer might create again what is deleted here.
func (c *Controller) clearUnsynced(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, custom *customKinds) (bool, error) {
	looked := ""
	off, dropped := unsynced(vc.Spec.Syncer.Args()), custom.clearable()
	if len(custom.unruledData()) > 0 {
		// Somebody may delete by hand what is kept, and nothing tells of it.
		looked = c.Clock.Now().Truncate(compareEvery).String()
	}
	wanted := clusterID(vc) + ":" + namesOf(off) + ":" + strings.Join(custom.known, ",") + ":" + namesOf(dropped) + ":" + looked
	m.Lock()
	cleared := m.cleared == wanted
	if !cleared {
		m.cleared = ""
	}
	m.Unlock()
	if cleared {
		return false, nil
	}
	pod, err := c.watched.pods.Pods(vc.Namespace).Get(podName(vc))
	if err != nil || namesOf(unsynced(syncerArgs(pod))) != namesOf(off) || worksBy(syncerArgs(pod), dropped) {
		// Another pod leads to another pass.
		return false, nil
	}
	left := 0
	var kept []string
	for _, kind := range slices.Concat(off, dropped) {
		name := kind.Resource + "." + kind.Version + "." + kind.Group
		if kind, err = c.served(kind); err != nil {
			return false, err
		}
		n, stays, err := c.clearKind(ctx, vc, kind)
		if err != nil {
			return false, err
		}
		left += n
		if stays {
			kept = append(kept, name)
		}
	}
	if left > 0 {
		klog.FromContext(ctx).Info("Deleting host objects of kinds that are not synced any more", "kinds", namesOf(append(off, dropped...)), "objects", left)
		return true, nil
	}
	kept = slices.DeleteFunc(kept, func(name string) bool { return !slices.Contains(custom.known, name) })
	if current := custom.current(kept); !slices.Equal(current, custom.known) {
		return false, c.forgetKinds(ctx, vc, m, current, custom.withData)
	}
	m.Lock()
	defer m.Unlock()
	m.cleared = wanted
	return false, nil
}

// worksBy tells whether a syncer with these arguments has a rule for one of the kinds.
func worksBy(args []string, kinds []tenancyv1.SyncedKind) bool {
	rules, err := tenancyv1.RulesByArgs(args)
	return err != nil || slices.ContainsFunc(rules, func(rule tenancyv1.KindRule) bool {
		return slices.ContainsFunc(kinds, func(kind tenancyv1.SyncedKind) bool { return rule.Definition() == kind.Resource+"."+kind.Group })
	})
}

func syncerArgs(pod *corev1.Pod) []string {
	for _, container := range pod.Spec.Containers {
		if container.Name == containerSyncer {
			return container.Args
		}
	}
	return nil
}

// clearKind deletes the twins of a kind, and what came with them; it returns how many there
// are. Those that hold data are marked, and stay.
func (c *Controller) clearKind(ctx context.Context, vc *tenancyv1.VirtualCluster, kind tenancyv1.SyncedKind) (left int, stays bool, err error) {
	twins, err := c.twins(ctx, vc, kind.GroupVersionResource(), "")
	if err != nil {
		return 0, false, err
	}
	if kind.HoldsData {
		return 0, len(twins) > 0, c.markOrphans(ctx, vc, kind.GroupVersionResource(), twins)
	}
	left = len(twins)
	if err := c.deleteAll(ctx, vc, kind.GroupVersionResource(), twins); err != nil {
		return 0, false, err
	}
	for _, companion := range kind.Companions {
		of, _ := tenancyv1.CataloguedKind(companion.Resource)
		came, err := c.twins(ctx, vc, of.GroupVersionResource(), companion.VirtualKind)
		if err != nil {
			return 0, false, err
		}
		left += len(came)
		if err := c.deleteAll(ctx, vc, of.GroupVersionResource(), came); err != nil {
			return 0, false, err
		}
	}
	return left, false, nil
}

// twins are the host objects that stand for objects inside of a kind. An empty kind
// is the host objects' own.
func (c *Controller) twins(ctx context.Context, vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource, virtualKind string) ([]metav1.PartialObjectMetadata, error) {
	all, err := c.made(ctx, vc, resource)
	return slices.DeleteFunc(all, func(object metav1.PartialObjectMetadata) bool {
		return object.Annotations[tenancyv1.AnnotationVirtualKind] != virtualKind
	}), err
}

// made are the objects of a kind that the syncer made: what it calls its own, and
// nothing else. Controllers of the host copy the label of a Service to the slices that
// they make for it, and those go with the Service.
func (c *Controller) made(ctx context.Context, vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource) ([]metav1.PartialObjectMetadata, error) {
	all, err := c.list(ctx, vc, resource, madeBy(vc))
	return slices.DeleteFunc(all, func(object metav1.PartialObjectMetadata) bool {
		return !tenancyv1.IsSyncedFor(&object, clusterID(vc), vc.Namespace)
	}), err
}

// released are the objects of a kind that the release's StatefulSet made: there is one
// at most, and its name is known.
func (c *Controller) released(ctx context.Context, vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource, name string) ([]metav1.PartialObjectMetadata, error) {
	all, err := c.list(ctx, vc, resource, tenancyv1.LabelVirtualCluster+"="+vc.Name)
	return slices.DeleteFunc(all, func(object metav1.PartialObjectMetadata) bool { return object.Name != name }), err
}

// lineage are the records of what the data inside were, and of which pods were put to
// sleep. They stand for nothing inside.
func (c *Controller) lineage(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]metav1.PartialObjectMetadata, error) {
	all, err := c.list(ctx, vc, configMapResource(), madeBy(vc))
	return slices.DeleteFunc(all, func(object metav1.PartialObjectMetadata) bool {
		return object.Name != tenancyv1.LineageName(vc.Name) && object.Name != tenancyv1.SleepRecordName(vc.Name)
	}), err
}

// issued are the Secrets that an issuer of the host made for the ingresses of the virtual
// cluster. It keeps them when the ingress goes.
func (c *Controller) issued(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]metav1.PartialObjectMetadata, error) {
	return c.list(ctx, vc, secretResource(), tenancyv1.LabelIssuedFor+"="+clusterID(vc))
}

// kubeconfigs are the Secrets in which the syncer kept a kubeconfig. They stand for nothing
// inside.
func (c *Controller) kubeconfigs(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]metav1.PartialObjectMetadata, error) {
	all, err := c.list(ctx, vc, secretResource(), madeBy(vc)+","+tenancyv1.LabelKubeconfigOf+"="+clusterID(vc))
	return slices.DeleteFunc(all, func(object metav1.PartialObjectMetadata) bool {
		return tenancyv1.IsSyncedFor(&object, clusterID(vc), vc.Namespace)
	}), err
}

func secretResource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceSecrets)
}

func podResource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePods)
}

func configMapResource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceConfigMaps)
}

// spaceOf is the namespace that objects of a kind are in: none for one of cluster scope.
func spaceOf(vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource) string {
	if slices.ContainsFunc(tenancyv1.Catalogue(), func(kind tenancyv1.SyncedKind) bool {
		return kind.GroupVersionResource() == resource && !kind.Namespaced
	}) {
		return metav1.NamespaceNone
	}
	return vc.Namespace
}

// list returns the metadata of all objects of a kind with these labels, as far as they
// are read here. It takes a few at a time: metadata are as large as who wrote them likes.
func (c *Controller) list(ctx context.Context, vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource, selector string) ([]metav1.PartialObjectMetadata, error) {
	var all []metav1.PartialObjectMetadata
	options := metav1.ListOptions{LabelSelector: selector, Limit: page}
	for {
		list, err := c.Metadata.Resource(resource).Namespace(spaceOf(vc, resource)).List(ctx, options)
		if apierrors.IsNotFound(err) {
			// The host does not serve the kind.
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list %s of virtual cluster: %w", resource.Resource, err)
		}
		for i := range list.Items {
			all = append(all, metav1.PartialObjectMetadata{TypeMeta: list.Items[i].TypeMeta, ObjectMeta: kept(&list.Items[i])})
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return all, nil
		}
	}
}

// deleteAll deletes the objects, and only these lives of them.
func (c *Controller) deleteAll(ctx context.Context, vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource, objects []metav1.PartialObjectMetadata) error {
	client, background := c.Metadata.Resource(resource).Namespace(spaceOf(vc, resource)), metav1.DeletePropagationBackground
	for i := range objects {
		object := &objects[i]
		if object.DeletionTimestamp != nil {
			continue
		}
		err := client.Delete(ctx, object.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &object.UID}, PropagationPolicy: &background})
		if tolerable(err) != nil {
			return fmt.Errorf("delete %s %s: %w", resource.Resource, object.Name, err)
		}
	}
	return nil
}

// markOrphans labels objects that hold data and that nothing inside stands for any
// more. The syncer takes the label off when it finds the object inside again.
func (c *Controller) markOrphans(ctx context.Context, vc *tenancyv1.VirtualCluster, resource schema.GroupVersionResource, objects []metav1.PartialObjectMetadata) error {
	for i := range objects {
		object := &objects[i]
		if object.Labels[tenancyv1.LabelOrphan] != "" || object.DeletionTimestamp != nil {
			continue
		}
		err := c.patchMetadata(ctx, resource, object, map[string]any{"labels": map[string]string{tenancyv1.LabelOrphan: "true"}})
		if ignoreNotFound(err) != nil {
			return fmt.Errorf("mark %s %s as orphan: %w", resource.Resource, object.Name, err)
		}
		klog.FromContext(ctx).Info("Keeping a host object that holds data", "resource", resource.Resource, "object", klog.KObj(object))
	}
	return nil
}

// patchMetadata changes the metadata of an object, and of no later one of its name.
func (c *Controller) patchMetadata(ctx context.Context, resource schema.GroupVersionResource, object metav1.Object, change map[string]any) error {
	change["uid"] = object.GetUID()
	patch, err := json.Marshal(map[string]any{"metadata": change})
	if err != nil {
		return err
	}
	_, err = c.Metadata.Resource(resource).Namespace(object.GetNamespace()).Patch(ctx, object.GetName(), types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerController})
	return err
}

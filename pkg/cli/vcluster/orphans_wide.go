// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// wideReference is the field by which an object of cluster scope names the one in the host namespace
// that it belongs to, by kind. The syncer always sets it.
var wideReference = map[schema.GroupKind]string{
	{Kind: "PersistentVolume"}:                                      "claimRef",
	{Group: tenancyv1.SnapshotGroup, Kind: "VolumeSnapshotContent"}: "volumeSnapshotRef",
}

// addWideOrphans adds to the list what the selector chooses of kinds that belong to the whole host and hold
// data, of virtual clusters in the namespace. Few may list them: that somebody may not is an error only
// for kinds of which a virtual cluster may have objects on the host.
func addWideOrphans(ctx context.Context, cluster *host.Cluster, namespace, selector string, may func(kind string) bool, list *unstructured.UnstructuredList) []error {
	client, err := cluster.Kubernetes()
	if err != nil {
		return []error{fmt.Errorf("client of the host cluster: %w", err)}
	}
	var errs []error
	for _, kind := range tenancyv1.Catalogue() {
		if kind.Direction != tenancyv1.ToHost || kind.Namespaced || !kind.HoldsData {
			continue
		}
		found, err := listAt(ctx, client, pathOf(kind.GroupVersionResource()), selector)
		switch {
		case apierrors.IsNotFound(err): // the host serves no such kind
			continue
		case apierrors.IsForbidden(err) && !may(kind.Name()):
			continue
		case err != nil:
			at := kind.GroupVersionResource().GroupResource()
			errs = append(errs, fmt.Errorf("%s cannot be listed, and may hold data as well: %w; an administrator of the host cluster can list them: kubectl get %s -l %s", at, err, at, selector))
			continue
		}
		for _, object := range found.Items {
			if namespace == metav1.NamespaceAll || namespaceOn(&object) == namespace {
				list.SetAPIVersion("v1")
				list.SetKind("List")
				list.Items = append(list.Items, object)
			}
		}
	}
	return errs
}

func pathOf(kind schema.GroupVersionResource) string {
	if kind.Group == "" {
		return "/api/" + kind.Version + "/" + kind.Resource
	}
	return "/apis/" + kind.Group + "/" + kind.Version + "/" + kind.Resource
}

// anySyncs says whether objects of the kind go to the host from one of the virtual clusters.
func anySyncs(known []tenancyv1.VirtualCluster, kind string) bool {
	return slices.ContainsFunc(known, func(vc tenancyv1.VirtualCluster) bool {
		synced, err := tenancyv1.SelectByArgs(vc.Spec.Syncer.Args())
		return err == nil && synced[kind]
	})
}

// namespaceOn is the namespace of the virtual cluster whose object it is.
func namespaceOn(object *unstructured.Unstructured) string {
	if at := object.GetNamespace(); at != "" {
		return at
	}
	field := wideReference[object.GroupVersionKind().GroupKind()]
	namespace, _, _ := unstructured.NestedString(object.Object, "spec", field, "namespace")
	return namespace
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

// addCustomOrphans adds to the list what the selector chooses of kinds by a rule that may hold
// data: those of the virtual clusters, and those that the host's administrator opened, which
// may be of virtual clusters that are gone. It returns which could not be listed.
func addCustomOrphans(ctx context.Context, cluster *host.Cluster, namespace, selector string, known []tenancyv1.VirtualCluster, list *unstructured.UnstructuredList) []error {
	client, err := cluster.Kubernetes()
	if err != nil {
		return []error{fmt.Errorf("client of the host cluster: %w", err)}
	}
	kinds := openedKinds(ctx, client)
	maps.Copy(kinds, kindsWithData(known))
	var errs []error
	for _, kind := range slices.SortedFunc(maps.Keys(kinds), func(a, b schema.GroupResource) int {
		return slices.Compare([]string{a.Group, a.Resource}, []string{b.Group, b.Resource})
	}) {
		found, err := listCustom(ctx, client, kind, namespace, selector)
		switch {
		case apierrors.IsNotFound(err): // the host serves no such kind
		case apierrors.IsForbidden(err) && !kinds[kind]: // nobody said that it holds data
		case err != nil:
			errs = append(errs, fmt.Errorf("%s cannot be listed, and may hold data as well: %w", kind, err))
		case len(found.Items) > 0:
			list.SetAPIVersion("v1")
			list.SetKind("List")
			list.Items = append(list.Items, found.Items...)
		}
	}
	return errs
}

// kindsWithData are those of the virtual clusters; each is true.
func kindsWithData(known []tenancyv1.VirtualCluster) map[schema.GroupResource]bool {
	kinds := map[schema.GroupResource]bool{}
	for i := range known {
		for _, name := range known[i].Status.CustomKindsWithData {
			if kind, err := tenancyv1.ParseCustomKind(name); err == nil {
				kinds[kind.GroupVersionResource().GroupResource()] = true
			}
		}
	}
	return kinds
}

// openedKinds are those that the host's administrator opened to virtual clusters, as far as
// the user may read that; each is false.
func openedKinds(ctx context.Context, client kubernetes.Interface) map[schema.GroupResource]bool {
	kinds := map[schema.GroupResource]bool{}
	role, err := client.RbacV1().ClusterRoles().Get(ctx, tenancyv1.RoleCustomKinds, metav1.GetOptions{})
	if err != nil {
		return kinds // administrators may; others find what their own virtual clusters have
	}
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				if group != "*" && resource != "*" && slices.Contains(rule.Verbs, "list") {
					kinds[schema.GroupResource{Group: group, Resource: resource}] = false
				}
			}
		}
	}
	return kinds
}

// listCustom lists objects of a kind in the version that the host prefers.
func listCustom(ctx context.Context, client kubernetes.Interface, kind schema.GroupResource, namespace, selector string) (*unstructured.UnstructuredList, error) {
	answer, err := client.CoreV1().RESTClient().Get().AbsPath("/apis/"+kind.Group).SetHeader("Accept", runtime.ContentTypeJSON).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	group := &metav1.APIGroup{}
	if err := json.Unmarshal(answer, group); err != nil {
		return nil, fmt.Errorf("the host's API group: %w", err)
	}
	path := "/apis/" + group.PreferredVersion.GroupVersion
	if namespace != metav1.NamespaceAll {
		path += "/namespaces/" + namespace
	}
	return listAt(ctx, client, path+"/"+kind.Resource, selector)
}

// listAt lists what the selector chooses at a path of the host's API.
func listAt(ctx context.Context, client kubernetes.Interface, path, selector string) (*unstructured.UnstructuredList, error) {
	answer, err := client.CoreV1().RESTClient().Get().AbsPath(path).SetHeader("Accept", runtime.ContentTypeJSON).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, scheme.ParameterCodec).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	if err := list.UnmarshalJSON(answer); err != nil {
		return nil, fmt.Errorf("the host's list: %w", err)
	}
	return list, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	applydiscoveryv1 "k8s.io/client-go/applyconfigurations/discovery/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/resources"
)

// dnsEndpoints shows inside where the syncer answers names. On the host, the Service selects its pod.
// The Service inside selects pods as ever, of which there are none, so that the controller of
// EndpointSlices deletes those of earlier pods.
func (b *Bootstrap) dnsEndpoints(ctx context.Context) error {
	address, name := b.Translator.Cluster().PodIP, resources.DNSService
	slice := applydiscoveryv1.EndpointSlice(name, metav1.NamespaceSystem).
		WithLabels(map[string]string{discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: fieldManager}).
		WithAddressType(familyOf(address)).
		WithEndpoints(applydiscoveryv1.Endpoint().WithAddresses(address).WithConditions(applydiscoveryv1.EndpointConditions().WithReady(true)))
	for _, port := range resources.DNSPorts() {
		slice.WithPorts(applydiscoveryv1.EndpointPort().WithName(port.Name).WithProtocol(port.Protocol).WithPort(tenancyv1.PortDNS))
	}
	_, err := b.Virtual.DiscoveryV1().EndpointSlices(metav1.NamespaceSystem).Apply(ctx, slice, force())
	return err
}

// dropDNSPods deletes what the syncer made for pods of the DNS, before it answered itself. The
// ConfigMap stays: a tenant may have written into it, and pods may be wanted again.
func (b *Bootstrap) dropDNSPods(ctx context.Context) error {
	core, rbac := b.Virtual.CoreV1(), b.Virtual.RbacV1()
	deployments, accounts := b.Virtual.AppsV1().Deployments(metav1.NamespaceSystem), core.ServiceAccounts(metav1.NamespaceSystem)
	for _, drop := range []func() error{
		func() error { return dropOurs(ctx, dnsName, deployments.Get, deployments.Delete) },
		func() error {
			return dropOurs(ctx, dnsRole, rbac.ClusterRoleBindings().Get, rbac.ClusterRoleBindings().Delete)
		},
		func() error { return dropOurs(ctx, dnsRole, rbac.ClusterRoles().Get, rbac.ClusterRoles().Delete) },
		func() error { return dropOurs(ctx, dnsName, accounts.Get, accounts.Delete) },
	} {
		if err := drop(); err != nil {
			return err
		}
	}
	return nil
}

// dropDNSEndpoints deletes what dnsEndpoints wrote, where pods answer again.
func (b *Bootstrap) dropDNSEndpoints(ctx context.Context) error {
	slices := b.Virtual.DiscoveryV1().EndpointSlices(metav1.NamespaceSystem)
	return dropOurs(ctx, resources.DNSService, slices.Get, slices.Delete)
}

// dropOurs deletes an object that the syncer applied. One that a tenant made in its place stays.
func dropOurs[T interface {
	metav1.Object
	runtime.Object
}](ctx context.Context, name string, get func(context.Context, string, metav1.GetOptions) (T, error), remove func(context.Context, string, metav1.DeleteOptions) error) error {
	found, err := get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return ignoreNotFound(err)
	}
	if !slices.ContainsFunc(found.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == fieldManager && entry.Operation == metav1.ManagedFieldsOperationApply
	}) {
		return nil
	}
	uid, policy := found.GetUID(), metav1.DeletePropagationBackground
	err = remove(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &policy})
	if err := ignoreNotFound(err); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

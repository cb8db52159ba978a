// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// sliceManager marks our slices. The host's own controllers leave those of others alone.
	sliceManager = "activator.garret.dev"
	// hostManager marks the slices that the host makes of the pods of a Service.
	hostManager = "endpointslice-controller.k8s.io"
)

// ours selects the slices of a virtual cluster that an activator wrote. They do not have the
// label of what the syncer made, so that no syncer takes them for its own, or may write them.
func (c *cluster) ours() string {
	return discoveryv1.LabelManagedBy + "=" + sliceManager + "," + tenancyv1.LabelActivatorOf + "=" + c.id
}

// slice is one of a Service for a family of addresses; nil where the Service has no port here, or
// this process no address of the family.
func (c *cluster) slice(s *service, family discoveryv1.AddressType, suffix string, is func(netip.Addr) bool) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.name.Namespace, Name: s.name + "-activator-" + suffix,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: s.name, discoveryv1.LabelManagedBy: sliceManager, tenancyv1.LabelActivatorOf: c.id},
			// The host deletes the slice with the Service.
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: s.name, UID: s.uid}},
		},
		AddressType: family,
	}
	for _, address := range c.activator.Addresses {
		if is(address) {
			slice.Endpoints = []discoveryv1.Endpoint{{
				Addresses: []string{address.String()}, NodeName: ptr.To(c.activator.Node),
				Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			}}
			break
		}
	}
	for _, each := range s.ports {
		if g := c.gate(gateKey{s.uid, each.number}); g != nil {
			slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{
				Name: ptr.To(each.name), Port: ptr.To(g.number), Protocol: ptr.To(corev1.ProtocolTCP), AppProtocol: each.protocol})
		}
	}
	if len(slice.Endpoints) == 0 || len(slice.Ports) == 0 {
		return nil
	}
	return slice
}

// publish names the ports on the host, and deletes slices of other Services.
func (c *cluster) publish(ctx context.Context, services []service) error {
	wanted := map[string]*discoveryv1.EndpointSlice{}
	for i := range services {
		if s := &services[i]; s.ipv4 {
			if slice := c.slice(s, discoveryv1.AddressTypeIPv4, "ipv4", netip.Addr.Is4); slice != nil {
				wanted[slice.Name] = slice
			}
		}
		if s := &services[i]; s.ipv6 {
			if slice := c.slice(s, discoveryv1.AddressTypeIPv6, "ipv6", netip.Addr.Is6); slice != nil {
				wanted[slice.Name] = slice
			}
		}
	}
	client := c.activator.Host.DiscoveryV1().EndpointSlices(c.name.Namespace)
	found, err := client.List(ctx, metav1.ListOptions{LabelSelector: c.ours()})
	if err != nil {
		return fmt.Errorf("slices of the activator: %w", err)
	}
	c.swept = true
	for i := range found.Items {
		known := &found.Items[i]
		want := wanted[known.Name]
		delete(wanted, known.Name)
		switch {
		case want == nil || want.AddressType != known.AddressType || !equality.Semantic.DeepEqual(want.OwnerReferences, known.OwnerReferences):
			// One that has to be made again is, on the next pass.
			err = c.drop(ctx, known)
		case equality.Semantic.DeepEqual(want.Endpoints, known.Endpoints) && equality.Semantic.DeepEqual(want.Ports, known.Ports):
		default:
			known.Endpoints, known.Ports = want.Endpoints, want.Ports
			_, err = client.Update(ctx, known, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController})
		}
		if err != nil {
			return fmt.Errorf("slice %s of the activator: %w", known.Name, err)
		}
	}
	for _, slice := range wanted {
		if _, err := client.Create(ctx, slice, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerController}); err != nil {
			return fmt.Errorf("slice %s of the activator: %w", slice.Name, err)
		}
	}
	return nil
}

// drop deletes a slice as it was read: another replica may have written it since.
func (c *cluster) drop(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
	err := c.activator.Host.DiscoveryV1().EndpointSlices(slice.Namespace).Delete(ctx, slice.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &slice.UID, ResourceVersion: &slice.ResourceVersion}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// unpublish deletes the slices of these Services; nil is all of them. It leaves those that name
// another address: the replica there leads now.
func (c *cluster) unpublish(ctx context.Context, services sets.Set[string]) error {
	found, err := c.activator.Host.DiscoveryV1().EndpointSlices(c.name.Namespace).List(ctx, metav1.ListOptions{LabelSelector: c.ours()})
	if err != nil {
		return fmt.Errorf("slices of the activator: %w", err)
	}
	for i := range found.Items {
		slice := &found.Items[i]
		if services != nil && !services.Has(slice.Labels[discoveryv1.LabelServiceName]) {
			continue
		}
		if c.activator.ctx.Err() != nil && !c.isHere(slice) {
			continue
		}
		if err := c.drop(ctx, slice); err != nil {
			return fmt.Errorf("slice %s of the activator: %w", slice.Name, err)
		}
	}
	return nil
}

func (c *cluster) isHere(slice *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool {
		return slices.ContainsFunc(e.Addresses, func(text string) bool {
			address, ok := tenancyv1.ParseEndpointAddress(text)
			return ok && slices.Contains(c.activator.Addresses, address)
		})
	})
}

// closeAll deletes all slices and closes all ports. An earlier process may have left slices.
func (c *cluster) closeAll(ctx context.Context) error {
	if c.swept && len(c.list()) == 0 {
		return nil
	}
	if err := c.unpublish(ctx, nil); err != nil {
		return err
	}
	c.swept = true
	c.shut()
	return nil
}

// closeInTurn closes the ports of each Service once the host has pods of it, and all of them
// after a while.
func (c *cluster) closeInTurn() {
	a := c.activator
	ctx, cancel := context.WithTimeout(a.ctx, closeAfter)
	defer cancel()
	again := time.NewTicker(closeAgain)
	defer again.Stop()
	for {
		done, err := c.closeReady(ctx, ctx.Err() != nil)
		if err != nil {
			klog.FromContext(ctx).V(1).Info("Cannot close ports of an activator yet", "virtualCluster", c.name, "err", err)
		}
		if done || a.ctx.Err() != nil {
			return
		}
		<-again.C
	}
}

// closeReady closes the ports of Services that have pods again, or all ports, and says whether
// nothing is left to close.
func (c *cluster) closeReady(ctx context.Context, all bool) (bool, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	a := c.activator
	a.mu.Lock()
	if c.sleep != 0 || len(c.gates) == 0 {
		c.closing = false
		a.mu.Unlock()
		return true, nil
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	has := map[string]bool{}
	if !all {
		list, err := a.Host.DiscoveryV1().EndpointSlices(c.name.Namespace).List(ctx, cached(discoveryv1.LabelManagedBy+"="+hostManager))
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			ready := func(e discoveryv1.Endpoint) bool { return ptr.Deref(e.Conditions.Ready, true) }
			if slices.ContainsFunc(list.Items[i].Endpoints, ready) {
				has[list.Items[i].Labels[discoveryv1.LabelServiceName]] = true
			}
		}
	}
	var closed []*gate
	names := sets.New[string]()
	for _, g := range c.list() {
		if all || has[g.service] {
			closed = append(closed, g)
			names.Insert(g.service)
		}
	}
	if len(closed) == 0 {
		return false, nil
	}
	if err := c.unpublish(ctx, names); err != nil {
		return false, err
	}
	for _, g := range closed {
		a.outlive(g)
	}
	return false, nil
}

// outlive closes a port a little later: nodes still send connections there. A new sleep opens
// another port for the Service.
func (a *Activator) outlive(g *gate) {
	a.mu.Lock()
	if g.cluster.gates[g.key] == g {
		delete(g.cluster.gates, g.key)
		a.ports--
	}
	a.mu.Unlock()
	time.AfterFunc(a.Linger, func() { _ = g.listener.Close() })
}

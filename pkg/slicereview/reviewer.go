// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package slicereview

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Reviewer judges slices by the pods and Services of the host.
type Reviewer struct {
	Host kubernetes.Interface
	// Ranges are those that the HostCluster opens to all virtual clusters.
	Ranges func(ctx context.Context) ([]string, error)
}

// Judge says why a slice must not be written, or nothing where it may be.
func (r *Reviewer) Judge(ctx context.Context, slice *discoveryv1.EndpointSlice) (string, error) {
	cluster, service := slice.Labels[v1.LabelCluster], slice.Labels[discoveryv1.LabelServiceName]
	switch {
	case !v1.IsClusterID(cluster):
		return fmt.Sprintf("metadata.labels[%s]: must be the id of a virtual cluster", v1.LabelCluster), nil
	case slice.AddressType != discoveryv1.AddressTypeIPv4 && slice.AddressType != discoveryv1.AddressTypeIPv6:
		return fmt.Sprintf("addressType: %s would name any host: use addresses", slice.AddressType), nil
	}
	if refusal, err := r.judgeService(ctx, slice.Namespace, service, cluster); refusal != "" || err != nil {
		return refusal, err
	}
	open, err := r.Ranges(ctx)
	if err != nil {
		return "", err
	}
	ranges, err := v1.ParseAddressRanges(open)
	if err != nil {
		return "", err
	}
	var own []netip.Addr
	looked := false
	for i := range slice.Endpoints {
		for j, text := range slice.Endpoints[i].Addresses {
			address, ok := v1.ParseEndpointAddress(text)
			if ok && ranges.Contain(address) {
				continue
			}
			if !looked {
				if own, err = r.podAddresses(ctx, slice.Namespace, cluster); err != nil {
					return "", err
				}
				looked = true
			}
			if !ok || !slices.Contains(own, address) {
				return fmt.Sprintf("endpoints[%d].addresses[%d]: %s is no address of a pod of the virtual cluster: "+
					"have the host's administrator add it to spec.isolation.endpointRanges of the HostCluster", i, j, text), nil
			}
		}
	}
	return "", nil
}

// judgeService keeps endpoints of one virtual cluster away from another's Service.
func (r *Reviewer) judgeService(ctx context.Context, namespace, name, cluster string) (string, error) {
	field := fmt.Sprintf("metadata.labels[%s]", discoveryv1.LabelServiceName)
	if name == "" {
		return field + ": must name a Service of the virtual cluster", nil
	}
	service, err := r.Host.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("service %s/%s: %w", namespace, name, err)
	}
	if err != nil || service.Labels[v1.LabelCluster] != cluster {
		return fmt.Sprintf("%s: %s is no Service of the virtual cluster", field, name), nil
	}
	return "", nil
}

func (r *Reviewer) podAddresses(ctx context.Context, namespace, cluster string) ([]netip.Addr, error) {
	pods, err := r.Host.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{v1.LabelCluster: cluster}.String()})
	if err != nil {
		return nil, fmt.Errorf("pods in %s: %w", namespace, err)
	}
	var own []netip.Addr
	for i := range pods.Items {
		own = append(own, v1.PodEndpoints(&pods.Items[i])...)
	}
	return own, nil
}

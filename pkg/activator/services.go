// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activator

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// service is a Service on the host whose connections wake a virtual cluster.
type service struct {
	name  string
	uid   types.UID
	ipv4  bool
	ipv6  bool
	ports []port
}

// port is a TCP port of a Service.
type port struct {
	name     string
	protocol *string
	number   int32
}

// cached lists what the host's API server has in memory.
func cached(selector string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: selector, ResourceVersion: "0"}
}

// services are those of the virtual cluster that have a selector, an address and a TCP port, by
// name. Those that a NetworkPolicy may be about are left out, with the reason.
func (a *Activator) services(ctx context.Context, vc *tenancyv1.VirtualCluster) ([]service, map[string]string, error) {
	list, err := a.Host.CoreV1().Services(vc.Namespace).List(ctx, cached(tenancyv1.LabelCluster+"="+vc.Status.ClusterID))
	if err != nil {
		return nil, nil, fmt.Errorf("services of the virtual cluster: %w", err)
	}
	policies, err := a.Host.NetworkingV1().NetworkPolicies(vc.Namespace).List(ctx, cached(""))
	if err != nil {
		return nil, nil, fmt.Errorf("network policies in %s: %w", vc.Namespace, err)
	}
	var found []service
	left := map[string]string{}
	for i := range list.Items {
		host := &list.Items[i]
		if !leads(host, vc) {
			continue
		}
		if policy := restricts(policies.Items, host.Spec.Selector, tenancyv1.ReleaseName(vc.Name)); policy != "" {
			left[host.Name] = fmt.Sprintf("the NetworkPolicy %s may restrict who reaches its pods", policy)
			continue
		}
		one := service{name: host.Name, uid: host.UID}
		for _, text := range host.Spec.ClusterIPs {
			address, ok := tenancyv1.ParseEndpointAddress(text)
			one.ipv4, one.ipv6 = one.ipv4 || ok && address.Is4(), one.ipv6 || ok && address.Is6()
		}
		for _, each := range host.Spec.Ports {
			if isTCP(&each) {
				one.ports = append(one.ports, port{name: each.Name, protocol: each.AppProtocol, number: each.Port})
			}
		}
		if len(one.ports) > 0 {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b service) int { return strings.Compare(a.name, b.name) })
	return found, left, nil
}

func isTCP(port *corev1.ServicePort) bool {
	return port.Protocol == corev1.ProtocolTCP || port.Protocol == ""
}

// leads says whether a Service is the virtual cluster's own, and leads to pods of it by an address.
func leads(host *corev1.Service, vc *tenancyv1.VirtualCluster) bool {
	return tenancyv1.IsSyncedFor(host, vc.Status.ClusterID, vc.Namespace) && host.DeletionTimestamp == nil &&
		host.Spec.Selector[tenancyv1.LabelCluster] == vc.Status.ClusterID &&
		host.Spec.ClusterIP != "" && host.Spec.ClusterIP != corev1.ClusterIPNone && host.Spec.Type != corev1.ServiceTypeExternalName
}

// restricts is the name of a policy that may be about who reaches the pods of a selector. That of
// the release is about the control plane. A selector that names another value of a label is about
// other pods.
func restricts(policies []networkingv1.NetworkPolicy, selector map[string]string, release string) string {
	for i := range policies {
		policy := &policies[i]
		ingress := len(policy.Spec.PolicyTypes) == 0 || slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		if !ingress || policy.Name == release {
			continue
		}
		other := false
		for key, value := range policy.Spec.PodSelector.MatchLabels {
			has, set := selector[key]
			other = other || set && has != value
		}
		if !other {
			return policy.Name
		}
	}
	return ""
}

// look is what the host had of a virtual cluster a moment ago.
type look struct {
	policies []networkingv1.NetworkPolicy
	services []corev1.Service
	pods     []corev1.Pod
	at       time.Time
}

// look reads the Services and pods of the virtual cluster, at most so often, however many
// connections wait for them.
func (c *cluster) look(ctx context.Context) (*look, error) {
	c.looking.Lock()
	defer c.looking.Unlock()
	if c.looked != nil && time.Since(c.looked.at) < lookAgain/2 {
		return c.looked, nil
	}
	selector, core := cached(tenancyv1.LabelCluster+"="+c.id), c.activator.Host.CoreV1()
	policies, err := c.activator.Host.NetworkingV1().NetworkPolicies(c.name.Namespace).List(ctx, cached(""))
	if err != nil {
		return nil, err
	}
	services, err := core.Services(c.name.Namespace).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	pods, err := core.Pods(c.name.Namespace).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	c.looked = &look{policies: policies.Items, services: services.Items, pods: pods.Items, at: time.Now()}
	return c.looked, nil
}

// targets are where ready pods of the Service serve one of its ports. Nothing else of the host is
// ever among them.
func (c *cluster) targets(ctx context.Context, key gateKey) ([]netip.AddrPort, error) {
	seen, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(seen.services, func(s corev1.Service) bool {
		return s.UID == key.service && tenancyv1.IsSyncedFor(&s, c.id, c.name.Namespace)
	})
	if at < 0 {
		return nil, nil
	}
	spec := &seen.services[at].Spec
	which := slices.IndexFunc(spec.Ports, func(p corev1.ServicePort) bool { return isTCP(&p) && p.Port == key.port })
	if which < 0 || len(spec.Selector) == 0 || restricts(seen.policies, spec.Selector, tenancyv1.ReleaseName(c.name.Name)) != "" {
		return nil, nil
	}
	var targets []netip.AddrPort
	selector := labels.SelectorFromValidatedSet(spec.Selector)
	for i := range seen.pods {
		pod := &seen.pods[i]
		if !selector.Matches(labels.Set(pod.Labels)) || !tenancyv1.IsSyncedFor(pod, c.id, c.name.Namespace) || !isReady(pod) {
			continue
		}
		number := targetPort(&spec.Ports[which], pod)
		if number == 0 {
			continue
		}
		for _, address := range tenancyv1.PodEndpoints(pod) {
			targets = append(targets, netip.AddrPortFrom(address, number))
		}
	}
	return targets, nil
}

func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// targetPort is the port of a pod that a Service's port leads to; zero for a name that the pod
// does not have.
func targetPort(port *corev1.ServicePort, pod *corev1.Pod) uint16 {
	number := port.TargetPort.IntVal
	if port.TargetPort.Type == intstr.String {
		number = 0
		for i := range pod.Spec.Containers {
			for _, each := range pod.Spec.Containers[i].Ports {
				if each.Name == port.TargetPort.StrVal && (each.Protocol == corev1.ProtocolTCP || each.Protocol == "") {
					number = each.ContainerPort
				}
			}
		}
	} else if number == 0 {
		number = port.Port
	}
	if number < 1 || number > 65535 {
		return 0
	}
	return uint16(number)
}

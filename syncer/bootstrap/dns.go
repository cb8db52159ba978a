// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/klog/v2"

	"garret.dev/garret/syncer/corefile"
	"garret.dev/garret/syncer/resources"
)

const (
	dnsName = "coredns"
	dnsRole = "system:coredns"
	// dnsCustom is a ConfigMap of the tenant's: its keys NAME.override are added
	// to the cluster's own zone, NAME.server are further ones.
	dnsCustom = "coredns-custom"
)

// dns are the parts of the DNS other than its Service.
func (b *Bootstrap) dns() []step {
	if b.EmbeddedDNS {
		return []step{{"the endpoints of the DNS", b.dnsEndpoints, false}, {"the end of the pods of the DNS", b.dropDNSPods, false}}
	}
	core, rbac := b.Virtual.CoreV1(), b.Virtual.RbacV1()
	return []step{
		{"the ServiceAccount of the DNS", func(ctx context.Context) error {
			_, err := core.ServiceAccounts(metav1.NamespaceSystem).Apply(ctx, applycorev1.ServiceAccount(dnsName, metav1.NamespaceSystem), force())
			return err
		}, false},
		{"the ClusterRole of the DNS", func(ctx context.Context) error { return b.applyRole(ctx, dnsRights()) }, false},
		{"the ClusterRoleBinding of the DNS", func(ctx context.Context) error {
			_, err := rbac.ClusterRoleBindings().Apply(ctx, applyrbacv1.ClusterRoleBinding(dnsRole).
				WithSubjects(applyrbacv1.Subject().WithKind(rbacv1.ServiceAccountKind).WithNamespace(metav1.NamespaceSystem).WithName(dnsName)).
				WithRoleRef(applyrbacv1.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(dnsRole)), force())
			return err
		}, false},
		{"the configuration of the DNS", b.corefile, false},
		{"the Deployment of the DNS", func(ctx context.Context) error {
			_, err := b.Virtual.AppsV1().Deployments(metav1.NamespaceSystem).Apply(ctx, dnsDeployment(), force())
			return err
		}, false},
		{"the end of the endpoints of an embedded DNS", b.dropDNSEndpoints, false},
	}
}

func dnsRights() *applyrbacv1.ClusterRoleApplyConfiguration {
	return applyrbacv1.ClusterRole(dnsRole).WithRules(
		applyrbacv1.PolicyRule().WithAPIGroups("").WithResources("services", "pods", "namespaces").WithVerbs("list", "watch"),
		applyrbacv1.PolicyRule().WithAPIGroups("discovery.k8s.io").WithResources("endpointslices").WithVerbs("list", "watch"),
	)
}

// corefile writes the configuration. What the tenant changed in it is theirs:
// without force, the API server says so with a conflict.
func (b *Bootstrap) corefile(ctx context.Context) error {
	config := applycorev1.ConfigMap(dnsName, metav1.NamespaceSystem).
		WithData(map[string]string{"Corefile": b.DNS.ForPods()})
	_, err := b.Virtual.CoreV1().ConfigMaps(metav1.NamespaceSystem).Apply(ctx, config, metav1.ApplyOptions{FieldManager: fieldManager})
	if apierrors.IsConflict(err) {
		klog.FromContext(ctx).V(1).Info("Leaving the configuration of the DNS as the tenant changed it")
		return nil
	}
	return err
}

// dnsService makes the Service, at an address that the host allocates. It asks the
// host itself rather than wait for the webhook: pods get the address at their start.
func (b *Bootstrap) dnsService(ctx context.Context) error {
	services := b.Virtual.CoreV1().Services(metav1.NamespaceSystem)
	found, err := services.Get(ctx, resources.DNSService, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	address := ""
	if err == nil {
		address = found.Spec.ClusterIP
	} else {
		host, err := b.Allocator.Allocate(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: resources.DNSService, Labels: dnsServiceLabels()},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: resources.DNSSelector(), Ports: b.dnsPorts()},
		}, false)
		if err != nil {
			return err
		}
		if host != nil {
			address = host.Spec.ClusterIP
		}
	}
	spec := applycorev1.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(resources.DNSSelector())
	if address != "" {
		spec.WithClusterIP(address)
	}
	for _, port := range b.dnsPorts() {
		spec.WithPorts(applycorev1.ServicePort().WithName(port.Name).WithProtocol(port.Protocol).WithPort(port.Port).WithTargetPort(port.TargetPort))
	}
	_, err = services.Apply(ctx, applycorev1.Service(resources.DNSService, metav1.NamespaceSystem).WithLabels(dnsServiceLabels()).WithSpec(spec), force())
	return err
}

func dnsServiceLabels() map[string]string {
	labels := resources.DNSSelector()
	// These two are how kubectl cluster-info finds it.
	labels["kubernetes.io/cluster-service"] = "true"
	labels["kubernetes.io/name"] = "CoreDNS"
	return labels
}

// dnsPorts are those of the Service inside. The syncer's own DNS has no port for metrics.
func (b *Bootstrap) dnsPorts() []corev1.ServicePort {
	ports := resources.DNSPorts()
	if !b.EmbeddedDNS {
		ports = append(ports, corev1.ServicePort{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: corefile.MetricsPort, TargetPort: intstr.FromInt32(corefile.MetricsPort)})
	}
	return ports
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/klog/v2"
)

const (
	dnsName        = "coredns"
	dnsRole        = "system:coredns"
	dnsLabel       = "k8s-app"
	dnsServiceName = "kube-dns"
	// dnsCustom is a ConfigMap of the tenant's: its keys NAME.override are added
	// to the cluster's own zone, NAME.server are further ones.
	dnsCustom = "coredns-custom"

	// dnsPort is above those that need a privilege: the pod satisfies the strictest
	// pod security of a host. The Service has the usual one.
	dnsPort        = 1053
	dnsHealthPort  = 8080
	dnsReadyPort   = 8181
	dnsMetricsPort = 9153
)

// dns are the parts of the DNS other than its Service.
func (b *Bootstrap) dns() []step {
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
		WithData(map[string]string{"Corefile": corefile(b.Translator.Cluster().Domain, nameservers(b.resolvConf()))})
	_, err := b.Virtual.CoreV1().ConfigMaps(metav1.NamespaceSystem).Apply(ctx, config, metav1.ApplyOptions{FieldManager: fieldManager})
	if apierrors.IsConflict(err) {
		klog.FromContext(ctx).V(1).Info("Leaving the configuration of the DNS as the tenant changed it")
		return nil
	}
	return err
}

// corefile is the configuration of CoreDNS. Other names are asked of upstreams,
// where there are any: CoreDNS does not start with an empty list.
//
// The zone of the cluster is not cached: CoreDNS has it in memory, and a name that
// was asked for a moment too early would stay unknown.
func corefile(domain string, upstreams []string) string {
	forward := ""
	if len(upstreams) > 0 {
		forward = fmt.Sprintf("    forward . %s\n    loop\n", strings.Join(upstreams, " "))
	}
	return fmt.Sprintf(`.:%d {
    errors
    health :%d
    ready :%d
    kubernetes %s in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :%d
%s    cache 30 {
        disable success %s
        disable denial %s
    }
    reload
    loadbalance
    import /etc/coredns/config/*.resolve
    import /etc/coredns/custom/*.override
}
import /etc/coredns/custom/*.server
`, dnsPort, dnsHealthPort, dnsReadyPort, domain, dnsMetricsPort, forward, domain, domain)
}

// resolvConf tells which DNS the syncer's own pod uses: the host cluster's.
// Names outside are asked there, as any pod of the host would; a node may have none of its own.
func (b *Bootstrap) resolvConf() []byte {
	content, err := os.ReadFile(b.ResolvConf)
	if err != nil {
		return nil
	}
	return content
}

// nameservers reads the addresses of DNS servers in a resolv.conf. One on
// loopback is the syncer's pod's own, and nothing to another pod.
func nameservers(resolvConf []byte) []string {
	var addresses []string
	for line := range strings.Lines(string(resolvConf)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(fields[1]); err == nil && !address.IsLoopback() && address.Zone() == "" {
			addresses = append(addresses, address.String())
		}
	}
	return addresses
}

// dnsService makes the Service, at an address that the host allocates. It asks the
// host itself rather than wait for the webhook: pods get the address at their start.
func (b *Bootstrap) dnsService(ctx context.Context) error {
	services := b.Virtual.CoreV1().Services(metav1.NamespaceSystem)
	found, err := services.Get(ctx, dnsServiceName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	address := ""
	if err == nil {
		address = found.Spec.ClusterIP
	} else {
		host, err := b.Allocator.Allocate(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: dnsServiceName, Labels: dnsServiceLabels()},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: dnsSelector(), Ports: dnsPorts()},
		}, false)
		if err != nil {
			return err
		}
		if host != nil {
			address = host.Spec.ClusterIP
		}
	}
	spec := applycorev1.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(dnsSelector())
	if address != "" {
		spec.WithClusterIP(address)
	}
	for _, port := range dnsPorts() {
		spec.WithPorts(applycorev1.ServicePort().WithName(port.Name).WithProtocol(port.Protocol).WithPort(port.Port).WithTargetPort(port.TargetPort))
	}
	_, err = services.Apply(ctx, applycorev1.Service(dnsServiceName, metav1.NamespaceSystem).WithLabels(dnsServiceLabels()).WithSpec(spec), force())
	return err
}

func dnsSelector() map[string]string { return map[string]string{dnsLabel: dnsServiceName} }

func dnsServiceLabels() map[string]string {
	return map[string]string{
		dnsLabel: dnsServiceName,
		// These two are how kubectl cluster-info finds it.
		"kubernetes.io/cluster-service": "true",
		"kubernetes.io/name":            "CoreDNS",
	}
}

func dnsPorts() []corev1.ServicePort {
	return []corev1.ServicePort{
		{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: intstr.FromInt32(dnsPort)},
		{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53, TargetPort: intstr.FromInt32(dnsPort)},
		{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: dnsMetricsPort, TargetPort: intstr.FromInt32(dnsMetricsPort)},
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// dialTimeout bounds the TCP connection to a virtual cluster's Service: an
// address without endpoints may drop packets instead of refusing them.
const dialTimeout = 5 * time.Second

// Dialer opens a connection to a Service of the host cluster. The address is
// always vc-NAME.NAMESPACE.svc:PORT.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// DialDNS connects through the cluster's DNS, which is what a pod does. Whoever may
// write Services of a namespace decides what the name of one there stands for, and
// an ExternalName may stand for anything: see serviceAddress.
func DialDNS() Dialer {
	return (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: serviceAddress}).DialContext
}

// serviceAddress refuses addresses that no Service has: garret-apiserver's own, and
// those of its node alone, where clouds keep their metadata. A server elsewhere is
// found out by its certificate, but a connection tells already that it is there.
func serviceAddress(_, address string, _ syscall.RawConn) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", address, err)
	}
	if ip := parsed.Addr().Unmap(); !ip.IsGlobalUnicast() {
		return fmt.Errorf("its name stands for %s, which is not the address of a Service", ip)
	}
	return nil
}

// DialClusterIP asks the host's API server for the Service instead of DNS, for
// a process that runs on a node but outside of the cluster's DNS. A Service
// without a ClusterIP is refused, whatever name it points to.
func DialClusterIP(services corev1client.ServicesGetter) Dialer {
	dial := DialDNS()
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		parts := strings.Split(host, ".")
		if len(parts) != 3 || parts[2] != "svc" {
			return nil, fmt.Errorf("%q is not the name of a service", host)
		}
		service, err := services.Services(parts[1]).Get(ctx, parts[0], metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", host, err)
		}
		if net.ParseIP(service.Spec.ClusterIP) == nil || service.Spec.Type == corev1.ServiceTypeExternalName {
			return nil, fmt.Errorf("service %s has no cluster IP", host)
		}
		return dial(ctx, network, net.JoinHostPort(service.Spec.ClusterIP, port))
	}
}

// Address is where a port of the virtual cluster's Service is. It follows from
// the object's own name and from nothing else.
func Address(cluster *tenancy.VirtualCluster, port int) string {
	return net.JoinHostPort(v1.ServerName(cluster.Name, cluster.Namespace), fmt.Sprint(port))
}

// TLSConfig accepts only a server with the virtual cluster's own name and a
// certificate of its own certificate authority.
func TLSConfig(cluster *tenancy.VirtualCluster) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cluster.Status.CertificateAuthorityData) {
		return nil, fmt.Errorf("virtual cluster %s/%s: no certificate in status.certificateAuthorityData", cluster.Namespace, cluster.Name)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    pool,
		ServerName: v1.ServerName(cluster.Name, cluster.Namespace),
	}, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/corefile"
	"garret.dev/garret/syncer/dns"
	"garret.dev/garret/test/framework"
)

// TestEmbeddedDNS has the syncer's process answer for Services inside, for names by rule, and, by
// another server, for other names. Rules change while it serves.
func TestEmbeddedDNS(t *testing.T) {
	ctx := t.Context()
	namespace, err := shared.virtual.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "names-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	services := shared.virtual.CoreV1().Services(namespace.Name)
	create := func(name string) *corev1.Service {
		t.Helper()
		made, err := services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "web", Port: 80}}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = services.Delete(context.Background(), name, metav1.DeleteOptions{}) })
		return made
	}
	web := create("web")
	// The other server knows the Services by another domain.
	_, upstream := serveDNS(t, corefile.Cluster{Domain: "example.net"})
	server, port := serveDNS(t, corefile.Cluster{Domain: "cluster.local", Upstreams: []string{"127.0.0.1:" + upstream}})
	zone := "." + namespace.Name + ".svc.cluster.local."
	resolver := func(network string) *net.Resolver {
		return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		}}
	}
	answers := func(network, name string, want ...string) {
		t.Helper()
		framework.Succeeds(t, "the DNS answers by "+network+" for "+name, func(ctx context.Context) error {
			got, err := resolver(network).LookupHost(ctx, name)
			if missing := (&net.DNSError{}); errors.As(err, &missing) && missing.IsNotFound {
				err = nil
			}
			if slices.Sort(got); err != nil || !slices.Equal(got, want) {
				return fmt.Errorf("got %q, %v, want %q", got, err, want)
			}
			return nil
		})
	}
	answers("udp", "web"+zone, web.Spec.ClusterIP)
	answers("tcp", "web"+zone, web.Spec.ClusterIP)
	answers("udp", "web."+namespace.Name+".svc.example.net.", web.Spec.ClusterIP)
	// A name that was asked for too early.
	answers("udp", "late"+zone)
	late := create("late")
	answers("udp", "late"+zone, late.Spec.ClusterIP)

	for _, rule := range []tenancyv1.ResolveRule{{Name: "db.example.org", Addresses: []string{"192.0.2.7", "192.0.2.8"}}, {Name: "db.example.org", Alias: "web" + zone}} {
		cluster := &tenancyv1.VirtualCluster{}
		cluster.Spec.DNS.Resolve = []tenancyv1.ResolveRule{rule}
		server.Observe(cluster)
		want := rule.Addresses
		if rule.Alias != "" {
			want = []string{web.Spec.ClusterIP}
		}
		answers("udp", "db.example.org.", want...)
		answers("tcp", "web"+zone, web.Spec.ClusterIP)
	}
	server.Observe(&tenancyv1.VirtualCluster{})
	framework.Succeeds(t, "a rule that is gone answers nothing", func(ctx context.Context) error {
		if got, err := resolver("udp").LookupHost(ctx, "db.example.org."); err == nil {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
}

// serveDNS runs a server until the test's end, and returns its port. What the server reports is an
// answer, as soon as it listens.
func serveDNS(t *testing.T, cluster corefile.Cluster) (*dns.Server, string) {
	t.Helper()
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	var serves atomic.Bool
	server := dns.New(dns.Options{Config: shared.virtualConfig, Cluster: cluster, Address: "127.0.0.1", Port: port, Clock: clock.RealClock{}, Report: func(err error) {
		if err != nil {
			t.Logf("port %d: %v", port, err)
		}
		serves.Store(err == nil)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		// Nothing of it is left listening.
		again, err := net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Errorf("after the end: %v", err)
			return
		}
		_ = again.Close()
	})
	framework.SucceedsWithin(t, 30*time.Second, "the DNS serves", func(context.Context) error {
		if !serves.Load() {
			return errors.New("not yet")
		}
		return nil
	})
	return server, strconv.Itoa(port)
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package entrance tests the ways into a virtual cluster, each of them a door: the relay, which
// leads through the host's API server, and the gateway, garret-apiserver's own address. All is
// real: a host that reviews tokens and access, its client certificates and its front proxy,
// garret-apiserver with the rights that the install chart grants and no others, a control plane
// inside with the syncer's issuer and a kubelet's streams, and kubectl. A test that applies to
// both doors exists once and runs through both.
package entrance

import (
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
	"garret.dev/garret/test/framework/tenant"
)

const (
	namespace, name = "team", "demo"
	// elsewhere is another namespace of the host.
	elsewhere = "elsewhere"
	// hostname is not resolved by any DNS: the tests connect to loopback.
	hostname = "gateway.example"
	// requestTimeout ends requests that are neither watches nor streams. It is short,
	// so that a test can outlast it, and longer than a busy machine takes for one.
	requestTimeout = 8 * time.Second
	// auditPolicy would record every body, but none of the benchmarks' requests,
	// whose time the log is no part of.
	auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, users: ['" + measured + "']}, {level: RequestResponse}]\n"
)

// exampleKey is the virtual cluster that the example of the typed clients makes.
var exampleKey = types.NamespacedName{Namespace: namespace, Name: "example"}

// sleeperKey is the virtual cluster that sleeps.
var sleeperKey = types.NamespacedName{Namespace: namespace, Name: "sleeper"}

// shared is what all tests use.
var shared struct {
	host     *framework.ControlPlane
	virtual  *tenant.Tenant
	garret   *aggregation.Garret
	auditLog string
	// stopped says that nothing answers at the address of the one that sleeps.
	stopped atomic.Bool
	// authority verifies garret-apiserver, as it publishes it.
	authority []byte
}

func TestMain(m *testing.M) {
	flag.Parse()
	// Tests wait for kubectl, and some for time to pass, more than they work.
	_ = flag.Set("test.parallel", "8")
	os.Exit(framework.Run(m, "entrance", setUp))
}

func setUp(stage *framework.Stage) error {
	object := types.NamespacedName{Namespace: namespace, Name: name}
	// As one of before 1.35, which takes the right to get pods/exec for enough
	// when exec is asked for over a WebSocket.
	lenient := "--kube-apiserver-arg=feature-gates=AuthorizePodWebsocketUpgradeCreatePermission=false"
	var plane *framework.ControlPlane
	err := framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag, framework.WithoutNodes)
			return err
		},
		func() (err error) {
			plane, err = stage.StartControlPlane("virtual", append(tenant.Flags(object, exampleKey, sleeperKey), framework.WithoutNodes, lenient)...)
			return err
		})
	if err != nil {
		return err
	}
	if shared.virtual, err = tenant.Serve(stage, shared.host, plane, object, exampleKey, sleeperKey); err != nil {
		return err
	}
	shared.auditLog = filepath.Join(stage.Dir, "audit.log")
	policy := filepath.Join(stage.Dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	shared.garret, err = aggregation.Serve(stage, shared.host, func(options *apiserver.Options) {
		options.Gateway.Enabled, options.Gateway.Hostnames = true, []string{hostname}
		options.RequestTimeout = requestTimeout
		options.Recommended.Audit.PolicyFile, options.Recommended.Audit.LogOptions.Path = policy, shared.auditLog
		options.Dial = dial
	})
	if err != nil {
		return err
	}
	return populate(context.Background())
}

// dial reaches what stands behind the objects, unless it is stopped.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	if shared.stopped.Load() && strings.HasPrefix(address, v1.ServerName(sleeperKey.Name, sleeperKey.Namespace)+":") {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return shared.virtual.Dial(ctx, network, address)
}

// populate makes two namespaces, and the virtual cluster in one of them.
func populate(ctx context.Context) error {
	for _, each := range []string{namespace, elsewhere} {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: each}}
		if _, err := shared.host.Client.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	object := &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	object, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := shared.virtual.Ready(ctx, shared.garret.Clients, object); err != nil {
		return err
	}
	published, err := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		return err
	}
	shared.authority = []byte(published.Data[v1.CAConfigMapKey])
	return nil
}

// byName is garret-apiserver's address by the name that the certificate was asked to have.
func byName() string {
	_, port, err := net.SplitHostPort(shared.garret.Address)
	if err != nil {
		panic(err) // the framework made it of host and port
	}
	return net.JoinHostPort(hostname, port)
}

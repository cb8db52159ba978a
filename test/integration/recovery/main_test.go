// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recovery tests that nothing is lost: the pods of virtual clusters run as
// processes that are killed, and whose data are put back or taken away, while
// garret-apiserver and garret-controller are killed as well. There is no kubelet
// and no provisioner on the host: the tests play them.
package recovery

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

// host is what all tests of the package share.
var host struct {
	*framework.ControlPlane
	garret     *aggregation.Garret
	controller *framework.Program
}

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "rec", setUp)) }

// setUp brings up a host with Garret on it.
func setUp(stage *framework.Stage) (err error) {
	if host.ControlPlane, err = stage.StartControlPlane("host", framework.WithoutNodes, aggregation.HostFlag); err != nil {
		return err
	}
	if host.garret, err = aggregation.Start(stage, host.ControlPlane); err != nil {
		return err
	}
	port, err := framework.FreePort()
	if err != nil {
		return err
	}
	dir := filepath.Join(stage.Dir, "controller")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := host.WriteServiceAccount(context.Background(), kubeconfig, v1.SystemNamespace, "garret-controller"); err != nil {
		return err
	}
	host.controller, err = stage.StartProgram("controller", "garret-controller", "--kubeconfig="+kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--leader-elect=false",
		"--pod-ips="+reachable(), "--node-name="+machineNode)
	return err
}

// reachable is an address of this machine that an EndpointSlice may name: no loopback.
func reachable() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, each := range addresses {
		if network, ok := each.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return ""
}

// newVirtualCluster is one of the name demo in a host namespace of the test's own.
func newVirtualCluster(t *testing.T) *v1.VirtualCluster {
	t.Helper()
	namespace := host.NewNamespace(t, "team-")
	t.Cleanup(func() {
		_ = host.Client.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})
	})
	return &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "demo"}}
}

// newNamespace makes a furnished namespace inside.
func newNamespace(t *testing.T, c cluster, name string) {
	t.Helper()
	_, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "there is a service account in "+name, func(ctx context.Context) (bool, error) {
		_, err := c.Client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serving tests how garret-apiserver is there for its callers: with
// certificates that come and go, as replicas that are restarted, ready or not,
// and at its end. Requests go through a real kube-apiserver and its aggregation
// layer. In front of the replicas stands what a Service is on a real host, see
// service.
package serving

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
	"garret.dev/garret/test/framework/tenant"
)

// insideKey is the one VirtualCluster with a control plane behind it.
var insideKey = types.NamespacedName{Namespace: "serving-inside", Name: "demo"}

// environment is what all tests share.
type environment struct {
	host          *framework.ControlPlane
	registrations *aggregator.Clientset
	virtual       *tenant.Tenant
	// kubeconfig holds the token of garret-apiserver's ServiceAccount.
	kubeconfig string
	etcd       string
	service    *service
	collector  *collector
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "srv", setUp)) }

func setUp(stage *framework.Stage) error {
	ctx := context.Background()
	// Spans are sent at once, by all programs: it is in their environment.
	err := os.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	if err != nil {
		return err
	}
	if shared.collector, err = newCollector(stage); err != nil {
		return err
	}
	const traced = "--kube-apiserver-arg=tracing-config-file="
	var virtual *framework.ControlPlane
	err = framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag, traced+shared.collector.config)
			return err
		},
		func() (err error) {
			virtual, err = stage.StartControlPlane("virtual", append(tenant.Flags(insideKey), traced+shared.collector.everything)...)
			return err
		},
		func() error { return startEtcd(stage) })
	if err != nil {
		return err
	}
	if err := aggregation.InstallRBAC(ctx, shared.host); err != nil {
		return err
	}
	shared.kubeconfig = filepath.Join(stage.Dir, "kubeconfig")
	if err := shared.host.WriteServiceAccount(ctx, shared.kubeconfig, v1.SystemNamespace, "garret-apiserver"); err != nil {
		return err
	}
	if shared.registrations, err = aggregator.NewForConfig(shared.host.Config); err != nil {
		return err
	}
	if shared.service, err = newService(); err != nil {
		return err
	}
	stage.OnStop(shared.service.stop)
	if err := aggregation.Register(ctx, shared.host, shared.service.port()); err != nil {
		return err
	}
	shared.virtual, err = tenant.Serve(stage, shared.host, virtual, insideKey)
	return err
}

// startEtcd starts the datastore that replicas share.
func startEtcd(stage *framework.Stage) error {
	clientPort, err := framework.FreePort()
	if err != nil {
		return err
	}
	peerPort, err := framework.FreePort()
	if err != nil {
		return err
	}
	shared.etcd = fmt.Sprintf("http://127.0.0.1:%d", clientPort)
	peer := fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	process, err := stage.Start("etcd", "kube", "etcd", "--data-dir="+filepath.Join(stage.Dir, "etcd", "data"), "--unsafe-no-fsync",
		"--listen-client-urls="+shared.etcd, "--advertise-client-urls="+shared.etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	if err != nil {
		return err
	}
	return framework.Poll(context.Background(), func(context.Context) (bool, error) {
		if err := process.Ended(); err != nil {
			return false, err
		}
		response, err := http.Get(shared.etcd + "/health")
		if err != nil {
			return false, nil
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK, nil
	})
}

// clients are a host user's, with connections to the host of their own.
func clients(t *testing.T) *versioned.Clientset {
	t.Helper()
	client, err := versioned.NewForConfig(shared.host.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// available waits until the host serves the API through the replicas.
func available(t *testing.T) {
	t.Helper()
	client := clients(t)
	framework.Eventually(t, "the API is available", func(ctx context.Context) (bool, error) {
		_, err := client.TenancyV1().VirtualClusters(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
}

func core() kubernetes.Interface { return shared.host.Client }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	clientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/pkg/chart"
	syncaccess "garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/kubeconfig"
	"garret.dev/garret/syncer/own"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/framework"
)

// renderRights is the part of a virtual cluster's chart about the syncer's rights.
func renderRights() (string, error) {
	synced, err := v1.SelectResources(nil, nil)
	if err != nil {
		return "", err
	}
	values, err := chart.Merge(chart.Values{
		Cluster:      chart.Cluster{Name: name, ID: v1.ClusterID(shared.object.UID), UID: string(shared.object.UID)},
		Kubernetes:   chart.Kubernetes{Distro: "k8s", Version: "v1.37.2"},
		ControlPlane: chart.ControlPlane{Image: "none", Storage: chart.Storage{Persistent: true, Size: "1Gi"}},
		Syncer:       chart.Syncer{Image: "none"},
		RBAC:         chart.RBAC{Rules: v1.SyncerRules(synced)},
		Host:         chart.Host{ServiceCIDR: framework.ServiceCIDR, ClusterDomain: "cluster.local", ClientCA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
		Service:      chart.Service{ClusterIP: "10.96.7.7"},
	}, nil)
	if err != nil {
		return "", err
	}
	loaded, err := chart.Load("v0.1.0")
	if err != nil {
		return "", err
	}
	top, err := chartutil.ToRenderValues(loaded, values, chartutil.ReleaseOptions{Name: v1.ReleaseName(name), Namespace: namespace, Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return "", err
	}
	rendered, err := engine.Render(loaded, top)
	if err != nil {
		return "", err
	}
	for file, text := range rendered {
		if strings.HasSuffix(file, "/rbac.yaml") {
			return text, nil
		}
	}
	return "", errors.New("the chart has no rbac.yaml")
}

// wire is a connection to the host that can be cut.
type wire struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, fmt.Errorf("dial %s: the wire is cut", address)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err == nil {
		w.conns[conn] = struct{}{}
	}
	return conn, err
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for conn := range w.conns {
		conn.Close()
	}
	clear(w.conns)
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

// syncer is the part of one that this package is about.
type syncer struct {
	wire *wire
	stop func()
}

// startSyncer runs the keeper and the reporter as the syncer's ServiceAccount,
// until the test ends.
func startSyncer(t *testing.T) *syncer {
	t.Helper()
	return startSyncerOn(t, &wire{conns: map[net.Conn]struct{}{}}, clock.RealClock{})
}

// startSyncerOn has kubeconfigs in Secrets be kept by another clock.
func startSyncerOn(t *testing.T, wire *wire, clocked clock.Clock) *syncer {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", shared.account)
	if err != nil {
		t.Fatal(err)
	}
	s := &syncer{wire: wire}
	config = rest.CopyConfig(config)
	config.Dial = s.wire.dial
	tenancy, err := clientv1.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	cluster := translate.Cluster{ID: v1.ClusterID(shared.object.UID), Name: name, UID: shared.object.UID, HostNamespace: namespace}
	reporter := bootstrap.NewReporter(cluster, tenancy, shared.inside.Client, pki.ServerAuthority(shared.inside.Dir), clock.RealClock{})
	rights := bootstrap.New(bootstrap.Options{Virtual: shared.inside.Client})
	if err := rights.RestoreRights(t.Context()); err != nil {
		t.Fatal(err)
	}
	itself := own.New(tenancy.RESTClient(), cluster)
	host, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	kept := kubeconfig.New(kubeconfig.Options{
		Cluster: cluster, Host: host, Rights: syncaccess.NewKubeconfigs(shared.inside.Client), Clock: clocked,
		Clients: pki.ClientAuthority(shared.inside.Dir), Servers: pki.ServerAuthority(shared.inside.Dir),
		Report: func(o kubeconfig.Outcome) { reporter.KubeconfigSecret(o.Generation, o.Reason, o.Message) },
	})
	itself.Observe(kept.Observe)
	keeper, err := syncaccess.NewKeeper(syncaccess.Options{
		Own: itself, Virtual: shared.inside.Client, Clock: clock.RealClock{}, Credentials: kept.Look,
		Standing: rights.RestoreRights,
		Report:   func(o syncaccess.Outcome) { reporter.Access(o.Generation, o.Reason, o.Message) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = itself.Run(ctx) })
	group.Go(func() { _ = keeper.Run(ctx) })
	group.Go(func() { _ = kept.Run(ctx) })
	group.Go(func() { _ = reporter.Run(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(s.stop)
	return s
}

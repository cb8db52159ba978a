// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access tests who may do what inside a virtual cluster: spec.access,
// kubeconfigs and their revocation, and what audit logs say. A real host with
// garret-apiserver behind it, a real control plane inside, and the syncer's
// keeper between them with the Role that the chart gives it and no other.
package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	clientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/chart"
	syncaccess "garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/aggregation"
	"garret.dev/garret/test/integration/framework/tenant"
)

const namespace, name = "team", "demo"

// auditPolicy records who did what, as one that somebody might have.
const auditPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"

// environment is what all tests share.
type environment struct {
	host   *framework.ControlPlane
	inside *tenant.Tenant
	garret *aggregation.Garret
	object *v1.VirtualCluster
	// account is the kubeconfig of the syncer's ServiceAccount on the host.
	account string
	// hostAudit, garretAudit and insideAudit are the logs of the three servers that a request passes.
	hostAudit, garretAudit, insideAudit string
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "access", setUp)) }

func setUp(stage *framework.Stage) error {
	policy := filepath.Join(stage.Dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	log := func(name string) string { return filepath.Join(stage.Dir, name+"-audit.log") }
	shared.hostAudit, shared.garretAudit, shared.insideAudit = log("host"), log("garret"), log("inside")
	audited := func(file string) []string {
		return []string{"--kube-apiserver-arg=audit-policy-file=" + policy, "--kube-apiserver-arg=audit-log-path=" + file}
	}
	var plane *framework.ControlPlane
	key := types.NamespacedName{Namespace: namespace, Name: name}
	err := framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", append(audited(shared.hostAudit), aggregation.HostFlag)...)
			return err
		},
		func() (err error) {
			plane, err = stage.StartControlPlane("inside", append(audited(shared.insideAudit), tenant.Flags(key)...)...)
			return err
		})
	if err != nil {
		return err
	}
	if shared.inside, err = tenant.Serve(stage, shared.host, plane, key); err != nil {
		return err
	}
	shared.garret, err = aggregation.Serve(stage, shared.host, func(o *apiserver.Options) {
		o.Dial = access.Dialer(shared.inside.Dial)
		o.Recommended.Audit.PolicyFile, o.Recommended.Audit.LogOptions.Path = policy, shared.garretAudit
	})
	if err != nil {
		return err
	}
	return furnish(context.Background(), stage)
}

// furnish makes the VirtualCluster, its syncer's account with the rights that the
// chart gives it, and alice, who may do everything.
func furnish(ctx context.Context, stage *framework.Stage) error {
	core, rbac := shared.host.Client.CoreV1(), shared.host.Client.RbacV1()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	made, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Create(ctx, &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if shared.object, err = shared.inside.Ready(ctx, shared.garret.Clients, made); err != nil {
		return err
	}
	rights, err := renderRights()
	if err != nil {
		return err
	}
	if err := apply(ctx, rights); err != nil {
		return err
	}
	if _, err := rbac.RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "alice"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "alice", APIGroup: rbacv1.GroupName}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "admin", APIGroup: rbacv1.GroupName},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	shared.account = filepath.Join(stage.Dir, "syncer.kubeconfig")
	return shared.host.WriteServiceAccount(ctx, shared.account, namespace, v1.ReleaseName(name))
}

// renderRights is the part of a virtual cluster's chart about the syncer's rights.
func renderRights() (string, error) {
	values, err := chart.Merge(chart.Values{
		Cluster:      chart.Cluster{Name: name, ID: v1.ClusterID(shared.object.UID), UID: string(shared.object.UID)},
		Kubernetes:   chart.Kubernetes{Distro: "k8s", Version: "v1.37.2"},
		ControlPlane: chart.ControlPlane{Image: "none", Storage: chart.Storage{Persistent: true, Size: "1Gi"}},
		Syncer:       chart.Syncer{Image: "none"},
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

// apply gives manifests to the host as its administrator.
func apply(ctx context.Context, manifests string) error {
	program, err := framework.Binary("kubectl")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, "--kubeconfig", shared.host.Kubeconfig, "apply", "-f", "-")
	command.Stdin = strings.NewReader(manifests)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apply: %w: %s", err, output)
	}
	return nil
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
	return startSyncerOn(t, &wire{conns: map[net.Conn]struct{}{}})
}

func startSyncerOn(t *testing.T, wire *wire) *syncer {
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
	keeper, err := syncaccess.NewKeeper(syncaccess.Options{
		Cluster: cluster, Tenancy: tenancy.RESTClient(), Virtual: shared.inside.Client, Clock: clock.RealClock{},
		Standing: rights.RestoreRights,
		Report:   func(o syncaccess.Outcome) { reporter.Access(o.Generation, o.Reason, o.Message) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = keeper.Run(ctx) })
	group.Go(func() { _ = reporter.Run(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(s.stop)
	return s
}

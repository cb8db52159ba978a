// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package external tests Garret as it is installed for more than one replica:
// on a database server outside the host cluster, encrypted at rest, and with
// replicas that are replaced while users work.
package external

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/database"
	"garret.dev/garret/test/load"
	"garret.dev/garret/test/suite"
)

// datastores are what Garret is installed on, on a host for each.
var datastores = []struct {
	host  *suite.Suite
	start func(testing.TB, net.IP) *database.Server
}{
	{&suite.Suite{Name: "e2e-postgres", Bare: true}, database.StartPostgresAt},
	{&suite.Suite{Name: "e2e-mariadb", Bare: true}, database.StartMariaDBAt},
}

func TestMain(m *testing.M) {
	var hosts []*suite.Suite
	for _, datastore := range datastores {
		hosts = append(hosts, datastore.host)
	}
	os.Exit(suite.Main(m, hosts...))
}

func TestReplicas(t *testing.T) {
	for _, datastore := range datastores {
		t.Run(datastore.host.Name, func(t *testing.T) {
			t.Parallel()
			if datastore.host.Cluster == nil {
				t.Skip("these tests install Garret their own way, and this host has it already")
			}
			machine, err := datastore.host.Cluster.MachineAddress()
			if err != nil {
				t.Fatal(err)
			}
			r := replicas{datastore.host}
			r.install(t, datastore.start(t, machine.AsSlice()))
			ns := r.Namespace(t, "team")
			r.VirtualCluster(t, ns, "demo")
			r.bothServe(t)
			r.restartUnderLoad(t, ns)
			r.killed(t, ns)
			r.takenUpAgain(t, ns)
		})
	}
}

// replicas are those of Garret on a host.
type replicas struct{ *suite.Suite }

// values are what docs/storage.md tells to set for a database server.
const values = `apiserver:
  replicas: 2
  datastore: {endpointSecretName: garret-db, caSecretName: garret-db-ca, clientSecretName: garret-db-client}
  encryption: {secretName: garret-encryption}
`

// install puts Garret on a datastore, until the test ends.
func (r replicas) install(t *testing.T, server *database.Server) {
	t.Helper()
	admin := r.Admin()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	encryption := write("config.yaml", fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [virtualclusters.tenancy.garret.dev, virtualclustertemplates.tenancy.garret.dev]
  providers:
  - secretbox: {keys: [{name: key1, secret: %s}]}
  - identity: {}
`, base64.StdEncoding.EncodeToString(key)))

	admin.Do(t, "create", "namespace", tenancyv1.SystemNamespace)
	t.Cleanup(func() { admin.Garret(t, "uninstall", "--purge") })
	for _, secret := range [][]string{
		{"garret-db", "--from-literal=endpoint=" + server.Endpoint},
		{"garret-db-ca", "--from-file=ca.crt=" + server.CAFile},
		{"garret-db-client", "--from-file=tls.crt=" + server.CertFile, "--from-file=tls.key=" + server.KeyFile},
		{"garret-encryption", "--from-file=" + encryption},
	} {
		admin.Do(t, append([]string{"create", "secret", "generic", "-n", tenancyv1.SystemNamespace}, secret...)...)
	}
	admin.Garret(t, "install", "--values", write("values.yaml", values))
}

// bothServe waits until the host sends requests to both replicas.
func (r replicas) bothServe(t *testing.T) {
	t.Helper()
	framework.SucceedsWithin(t, time.Minute, "both replicas serve", func(context.Context) error {
		out, err := r.Admin().Try("get", "endpointslices", "-n", tenancyv1.SystemNamespace, "-l", "kubernetes.io/service-name=garret-apiserver",
			"-o", "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[*]}")
		if err == nil && len(strings.Fields(out)) != 2 {
			err = fmt.Errorf("ready addresses of garret-apiserver: got %q, want two", out)
		}
		return err
	})
}

// restartUnderLoad replaces both replicas one after the other, as an upgrade
// does, while templates are written and read: no request fails, and the virtual
// cluster's pod takes no notice.
func (r replicas) restartUnderLoad(t *testing.T, ns string) {
	admin := r.Admin()
	pod := func() string {
		return admin.Do(t, "get", "pod/vc-demo-0", "-n", ns, "-o", "jsonpath={.metadata.uid} {.status.containerStatuses[*].restartCount}")
	}
	was := pod()
	busy := r.underLoad(t)
	admin.Do(t, "rollout", "restart", "statefulset/garret-apiserver", "-n", tenancyv1.SystemNamespace)
	admin.Do(t, "rollout", "status", "statefulset/garret-apiserver", "-n", tenancyv1.SystemNamespace, "--timeout=180s")
	busy.ExpectNone(t)
	if got := pod(); got != was {
		t.Errorf("the pod has UID and restarts %s, want %s as before", got, was)
	}
}

// underLoad writes and reads templates, which nothing is deployed for.
func (r replicas) underLoad(t *testing.T) *load.Load {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", r.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	var clients []load.Client[*tenancyv1.VirtualClusterTemplate, *tenancyv1.VirtualClusterTemplateList]
	for range 3 {
		client, err := versioned.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client.TenancyV1().VirtualClusterTemplates())
	}
	return load.Start(t, clients, func(name string) *tenancyv1.VirtualClusterTemplate {
		return &tenancyv1.VirtualClusterTemplate{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       tenancyv1.VirtualClusterTemplateSpec{Versions: []tenancyv1.TemplateVersion{{Version: "1.0.0"}}},
		}
	})
}

// killed kills one replica: the other goes on, and nothing that was acknowledged is lost.
func (r replicas) killed(t *testing.T, ns string) {
	admin := r.Admin()
	r.bothServe(t)
	id, err := r.ContainerID(tenancyv1.SystemNamespace, "statefulset.kubernetes.io/pod-name=garret-apiserver-0", "")
	if err != nil {
		t.Fatal(err)
	}
	admin.Do(t, "label", "vc/demo", "-n", ns, "written=before")
	if n, err := suite.Kill(id); err != nil || n == 0 {
		t.Fatalf("killing container %s: %d processes, %v", id, n, err)
	}
	framework.SucceedsWithin(t, 20*time.Second, "the other replica takes a write", func(context.Context) error {
		_, err := admin.Try("label", "vc/demo", "-n", ns, "written=after", "--overwrite")
		return err
	})
	// Until the host has seen the end of the one, it lists both.
	framework.SucceedsWithin(t, time.Minute, "the killed container counts as ended", func(context.Context) error {
		now, err := r.ContainerID(tenancyv1.SystemNamespace, "statefulset.kubernetes.io/pod-name=garret-apiserver-0", "")
		if err == nil && now == id {
			err = errors.New("the killed container still counts as running")
		}
		return err
	})
	r.bothServe(t)
	if got := r.read(t, ns, "{.metadata.labels.written}"); got != "after" {
		t.Errorf("the label has the value %q, want the one that was written last", got)
	}
}

// read reads a part of the virtual cluster. For some seconds after a replica was
// killed the host may hold the whole API for unavailable, and then again not.
func (r replicas) read(t *testing.T, ns, part string) (value string) {
	t.Helper()
	framework.SucceedsWithin(t, time.Minute, "the virtual cluster is read", func(context.Context) (err error) {
		value, err = r.Admin().Try("get", "vc/demo", "-n", ns, "-o", "jsonpath="+part)
		return err
	})
	return value
}

// takenUpAgain uninstalls Garret and installs it again on the same database.
func (r replicas) takenUpAgain(t *testing.T, ns string) {
	admin := r.Admin()
	object := func() string { return r.read(t, ns, "{.metadata.uid} {.metadata.creationTimestamp}") }
	admin.Do(t, "wait", "--for=condition=Available", "apiservice/v1.tenancy.garret.dev", "--timeout=120s")
	was := object()
	inside := r.ThroughRelay(t, r.Kubeconfig, ns, "demo")
	framework.SucceedsWithin(t, time.Minute, "something is written inside", func(context.Context) error {
		_, err := inside.Try("create", "configmap", "kept")
		if err != nil && strings.Contains(err.Error(), "AlreadyExists") {
			err = nil
		}
		return err
	})
	admin.Garret(t, "uninstall", "--force")
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	admin.Garret(t, "install", "--values", file)
	if got := object(); got != was {
		t.Errorf("after installing again: got UID and time %s, want %s", got, was)
	}
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=90s")
	inside.Do(t, "get", "configmap", "kept")
}

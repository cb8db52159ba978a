// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// requestLimit ends requests of the tests' clients that get no answer.
const requestLimit = 20 * time.Second

// replica is a process of garret-apiserver, reached directly.
type replica struct {
	dir     string
	flags   []string
	port    int
	process *framework.Process
	address *rest.Config
	client  *versioned.Clientset
}

// newReplica prepares one with these flags; start starts it, as often as it was stopped.
func newReplica(t *testing.T, flags ...string) *replica {
	t.Helper()
	port, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	published, err := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(t.Context(), v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The path of the socket in it may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "rep")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &replica{dir: dir, flags: flags, port: port}
	t.Cleanup(func() {
		if r.process == nil {
			return
		}
		_ = r.process.End(os.Kill)
		if t.Failed() {
			t.Logf("the end of the log of garret-apiserver:\n%s", r.process.Log())
		}
	})
	config := rest.CopyConfig(shared.host.Config) // its client certificate is the host's, which all servers know
	config.Host = fmt.Sprintf("https://127.0.0.1:%d", port)
	config.CAData, config.CAFile = []byte(published.Data[v1.CAConfigMapKey]), ""
	config.Timeout = requestLimit
	config.QPS, config.Burst = 1000, 1000
	r.address = config
	if r.client, err = versioned.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return r
}

// startReplica starts one with these flags and waits until it is ready.
func startReplica(t *testing.T, flags ...string) *replica {
	t.Helper()
	r := newReplica(t, flags...)
	r.start(t)
	return r
}

// launch starts the process, whether it becomes ready or not.
func (r *replica) launch(t *testing.T) {
	t.Helper()
	process, err := framework.Start(r.dir, "garret-apiserver", append([]string{"--kubeconfig=" + shared.garret.Kubeconfig,
		"--data-dir=" + r.data(), "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", r.port), "--resolve-services=api"}, r.flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	r.process = process
}

func (r *replica) start(t *testing.T) {
	t.Helper()
	r.launch(t)
	r.becomesReady(t)
}

// stop ends it as Kubernetes does.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	if err := r.process.End(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v, want a clean end\n%s", err, r.process.Log())
	}
}

func (r *replica) becomesReady(t *testing.T) {
	t.Helper()
	var last error
	err := framework.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		last = r.healthy(ctx, "/readyz")
		return last == nil, r.process.Ended()
	})
	if err != nil {
		t.Fatalf("waiting until the replica is ready: %v; last: %v\nwhat its goroutines wait in:\n%s", err, last, r.goroutines(t))
	}
}

// goroutines ends the process, and returns what its goroutines wait in, as far as they have to do
// with requests to the host or to the datastore, or with caches: functions alone, innermost first.
func (r *replica) goroutines(t *testing.T) string {
	t.Helper()
	_ = r.process.End(syscall.SIGQUIT)
	many := map[string]int{}
	for _, stack := range strings.Split(r.log(t), "\n\n") {
		of := func(code string) bool { return strings.Contains(stack, code) }
		if strings.HasPrefix(stack, "goroutine ") && slices.ContainsFunc([]string{"tools/cache.", "rest.(*Request)", "/storage/", "etcd/client", "kine/", "garret.dev/"}, of) {
			many[functions(stack)]++
		}
	}
	var lines []string
	for stack, n := range many {
		lines = append(lines, fmt.Sprintf("%d× %s", n, stack))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// functions are the names in a stack, without packages' paths and without those of the runtime.
func functions(stack string) string {
	var names []string
	for _, line := range strings.Split(stack, "\n")[1:] {
		name, _, call := strings.Cut(line[strings.LastIndex(line, "/")+1:], "({")
		if end := strings.LastIndex(name, "("); !call && end > 0 {
			name = name[:end]
		}
		if !strings.HasPrefix(line, "\t") && !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "created by") {
			names = append(names, name)
		}
	}
	return strings.Join(names, " < ")
}

func (r *replica) becomesUnready(t *testing.T, why string) {
	t.Helper()
	framework.Eventually(t, "the replica is not ready, "+why, func(ctx context.Context) (bool, error) {
		return r.healthy(ctx, "/readyz") != nil, r.process.Ended()
	})
}

func (r *replica) healthy(ctx context.Context, path string) error {
	answer, err := r.client.RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("%w: %s", err, answer)
	}
	return nil
}

// data is its data directory.
func (r *replica) data() string { return filepath.Join(r.dir, "data") }

// log is all that it wrote.
func (r *replica) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// logs waits until one line of its log has all the words.
func (r *replica) logs(t *testing.T, words ...string) {
	t.Helper()
	framework.Eventually(t, fmt.Sprintf("the log says %q", words), func(context.Context) (bool, error) {
		return slices.ContainsFunc(strings.Split(r.log(t), "\n"), func(line string) bool {
			return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
		}), nil
	})
}

func (r *replica) clusters(namespace string) tenancyv1.VirtualClusterInterface {
	return r.client.TenancyV1().VirtualClusters(namespace)
}

// create makes a virtual cluster through the replica.
func (r *replica) create(t *testing.T, namespace, name string) *v1.VirtualCluster {
	t.Helper()
	made, err := r.clusters(namespace).Create(t.Context(), named(name), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return made
}

func named(name string) *v1.VirtualCluster {
	return &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// list is what a consistent list gives, by name.
func (r *replica) list(t *testing.T, namespace string) map[string]v1.VirtualCluster {
	t.Helper()
	list, err := r.clusters(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	found := make(map[string]v1.VirtualCluster, len(list.Items))
	for _, item := range list.Items {
		found[item.Name] = item
	}
	return found
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
)

// process is a garret-apiserver of its own, reached directly. It shares the
// certificates of the one behind the host, as a second replica would.
type process struct {
	port   int
	dir    string
	client *versioned.Clientset
	// limit bounds each request of a client that gets no answer.
	limit time.Duration
}

func newProcess(t *testing.T) *process {
	t.Helper()
	port, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	published, err := shared.host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(t.Context(), v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "kill")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{port: port, dir: dir, limit: 20 * time.Second}
	config := rest.CopyConfig(shared.host.Config) // its client certificate is the host's, which both servers know
	config.Host = fmt.Sprintf("https://127.0.0.1:%d", port)
	config.CAData, config.CAFile = []byte(published.Data[v1.CAConfigMapKey]), ""
	config.Timeout = p.limit
	if p.client, err = versioned.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs it with further flags, and returns how to kill it and wait for its end.
func (p *process) start(t *testing.T, flags ...string) (end func(os.Signal) error) {
	t.Helper()
	args := append([]string{"--kubeconfig=" + shared.garret.Kubeconfig, "--data-dir=" + filepath.Join(p.dir, "data"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.port), "--resolve-services=api"}, flags...)
	running, err := framework.Start(p.dir, "garret-apiserver", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.End(os.Kill) })
	eventually(t, "the process is ready", func(ctx context.Context) (bool, error) {
		if err := running.Ended(); err != nil {
			return false, err
		}
		_, err := p.client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, nil
	})
	return running.End
}

// TestKilledAtAnyMoment kills the process while it is written to, several
// times, and looks for every write that it acknowledged.
func TestKilledAtAnyMoment(t *testing.T) {
	namespace := newNamespace(t)
	p := newProcess(t)
	in := p.client.TenancyV1().VirtualClusters(namespace)
	var acknowledged []string
	for round := range 3 {
		end := p.start(t)
		names, written := make(chan string, 4096), make(chan struct{})
		var count atomic.Int64
		var ended atomic.Value
		go func() {
			defer close(written)
			for i := 0; ; i++ {
				name := fmt.Sprintf("vc-%d-%d", round, i)
				if _, err := in.Create(context.Background(), named(name), metav1.CreateOptions{}); err != nil {
					ended.Store(err)
					return
				}
				names <- name
				count.Add(1)
			}
		}()
		eventually(t, "some are written", func(context.Context) (bool, error) {
			err, _ := ended.Load().(error)
			return count.Load() > 20, err
		})
		_ = end(os.Kill)
		<-written
		close(names)
		for name := range names {
			acknowledged = append(acknowledged, name)
		}
	}
	end := p.start(t)
	expectAll(t, in, acknowledged)

	// Asked to end, it does so by itself, and soon.
	begun := time.Now()
	if err := end(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v, want a clean end", err)
	}
	if took := time.Since(begun); took > 25*time.Second {
		t.Errorf("the end took %s, want less than a pod is given", took)
	}
}

func expectAll(t *testing.T, in tenancyv1.VirtualClusterInterface, names []string) {
	t.Helper()
	list, err := in.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, item := range list.Items {
		there[item.Name] = true
	}
	var lost error
	for _, name := range names {
		if !there[name] {
			lost = errors.Join(lost, fmt.Errorf("%s was acknowledged and is lost", name))
		}
	}
	if lost != nil {
		t.Errorf("of %d: %v", len(names), lost)
	}
	t.Logf("%d writes acknowledged, all there", len(names))
}

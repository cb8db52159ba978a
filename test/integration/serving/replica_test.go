// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/test/framework"
)

// replica is one garret-apiserver behind the service.
type replica struct {
	address string
	// end asks it to end, and returns when it has.
	end func() error
	// done is closed when it has ended.
	done <-chan struct{}
}

// within runs a replica in this process, with options that have no flag.
func within(t *testing.T, change func(*apiserver.Options)) *replica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := apiserver.NewOptions()
	options.Datastore.DataDir = t.TempDir()
	options.Recommended.Etcd.StorageConfig.Transport.ServerList = []string{shared.etcd}
	options.Recommended.CoreAPI.CoreAPIKubeconfigPath = shared.kubeconfig
	options.Recommended.SecureServing.Listener = listener
	options.ValidateValues = chart.TenantErrors
	options.Dial = access.Dialer(shared.virtual.Dial)
	if change != nil {
		change(options)
	}
	if err := errors.Join(options.Complete(), options.Validate()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		ended = apiserver.Run(ctx, options)
	}()
	r := &replica{address: listener.Addr().String(), done: done, end: func() error { cancel(); <-done; return ended }}
	r.join(t)
	return r
}

// process runs a replica as a process of its own, as it is shipped.
func process(t *testing.T, port int, flags ...string) *replica {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rep")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	running, err := framework.Start(dir, "garret-apiserver", append([]string{"--kubeconfig=" + shared.kubeconfig,
		"--data-dir=" + filepath.Join(dir, "data"), "--etcd-servers=" + shared.etcd, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--resolve-services=api"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of its log:\n%s", running.Log())
		}
	})
	r := &replica{address: fmt.Sprintf("127.0.0.1:%d", port), end: func() error { return running.End(syscall.SIGTERM) }}
	r.join(t)
	return r
}

// join puts the replica behind the service, and returns when it gets requests.
func (r *replica) join(t *testing.T) {
	t.Helper()
	remove := shared.service.add(r.address)
	end := r.end
	r.end = func() error {
		err := end()
		remove()
		return err
	}
	t.Cleanup(func() { _ = r.end() })
	framework.Eventually(t, "the replica is ready", func(context.Context) (bool, error) { return shared.service.isReady(r.address), nil })
	announce(t, r.address)
}

// announce has the host look again whether the API is available, as it does by itself
// where the endpoints of a Service change. This one has none that the host knows of:
// without a change it would wait for as long as it has waited in vain before.
func announce(t *testing.T, address string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/endpoint":%q}}}`, address)
	_, err := core().CoreV1().Services(v1.SystemNamespace).Patch(t.Context(), "garret-apiserver", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

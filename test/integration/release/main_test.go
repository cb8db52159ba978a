// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release tests releases of the embedded chart, and the controller that
// makes them, on a real API server with real controllers and a real
// garret-apiserver. There is no kubelet: the tests play it.
package release

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
)

const (
	timeout     = 30 * time.Second
	interval    = 50 * time.Millisecond
	serviceCIDR = "10.96.0.0/16"
)

// host is what all tests of the package share.
type host struct {
	config  *rest.Config
	kube    *kubernetes.Clientset
	tenancy *tenancyclient.Clientset
}

var shared host

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Short, because the path of a socket below it may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "rel")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stop, err := start(dir)
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start brings up both servers and returns what stops them.
func start(dir string) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	port, err := freePort()
	if err != nil {
		return stop, err
	}
	end, err := process(dir, "controlplane", "server", "--data-dir="+filepath.Join(dir, "d"), fmt.Sprintf("--https-listen-port=%d", port), "--bind-address=127.0.0.1",
		"--write-kubeconfig="+kubeconfig, "--disable-agent", "--disable-scheduler", "--disable-cloud-controller", "--flannel-backend=none",
		"--service-cidr="+serviceCIDR, "--kube-controller-manager-arg=controllers=*,-nodeipam,-nodelifecycle,-persistentvolume-binder,-attachdetach,-ttl")
	stops = append(stops, end)
	if err != nil {
		return stop, err
	}
	if err := eventually(func(ctx context.Context) error { return connect(ctx, kubeconfig) }); err != nil {
		return stop, logged(dir, "controlplane", err)
	}
	if port, err = freePort(); err != nil {
		return stop, err
	}
	end, err = process(dir, "garret-apiserver", "--kubeconfig="+kubeconfig, "--data-dir="+filepath.Join(dir, "g"), fmt.Sprintf("--secure-port=%d", port),
		"--bind-address=127.0.0.1", "--namespace="+tenancyv1.SystemNamespace)
	stops = append(stops, end)
	if err != nil {
		return stop, err
	}
	if err := eventually(func(ctx context.Context) error { return connectTenancy(ctx, port) }); err != nil {
		return stop, logged(dir, "garret-apiserver", err)
	}
	return stop, nil
}

func connect(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenancyv1.SystemNamespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	shared.config, shared.kube = config, client
	return nil
}

// connectTenancy goes to garret-apiserver itself, with the host's credentials: the
// aggregation layer is tested elsewhere.
func connectTenancy(ctx context.Context, port int) error {
	config := rest.CopyConfig(shared.config)
	config.Host = fmt.Sprintf("https://127.0.0.1:%d", port)
	config.CAData, config.CAFile, config.Insecure = nil, "", true
	client, err := tenancyclient.NewForConfig(config)
	if err != nil {
		return err
	}
	if _, err := client.TenancyV1().VirtualClusters("").List(ctx, metav1.ListOptions{}); err != nil {
		return err
	}
	shared.tenancy = client
	return nil
}

// process starts one of the built binaries.
func process(dir, name string, args ...string) (func(), error) {
	binary, err := filepath.Abs(filepath.Join("../../../bin", name))
	if err != nil {
		return func() {}, err
	}
	output, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return func() {}, err
	}
	command := exec.Command(binary, args...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return func() {}, fmt.Errorf("it must have been built: %w", err)
	}
	return func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		output.Close()
	}, nil
}

func logged(dir, name string, err error) error {
	log, _ := os.ReadFile(filepath.Join(dir, name+".log"))
	return fmt.Errorf("%s: %w\n%s", name, err, log[max(0, len(log)-4000):])
}

// eventually returns when check does without an error, or with the last one.
func eventually(check func(context.Context) error) error {
	last := errors.New("never tried")
	err := wait.PollUntilContextTimeout(context.Background(), interval, timeout, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		return last
	}
	return nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// namespace makes one for a test and deletes it afterwards.
func namespace(t *testing.T) string {
	t.Helper()
	created, err := shared.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = shared.kube.CoreV1().Namespaces().Delete(context.Background(), created.Name, metav1.DeleteOptions{})
	})
	return created.Name
}

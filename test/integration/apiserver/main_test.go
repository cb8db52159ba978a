// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver tests garret-apiserver behind a real kube-apiserver: with
// real aggregation, the rights that the install chart grants and no others,
// the controllers that collect garbage and count quotas, kubectl, and a real
// control plane with the syncer's issuer as the virtual cluster.
package apiserver

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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	timeout  = time.Minute
	interval = 50 * time.Millisecond

	// insideNamespace and insideName are those of the one VirtualCluster that
	// has a control plane behind it.
	insideNamespace, insideName = "inside", "demo"
)

// controlPlane is one of the two API servers.
type controlPlane struct {
	dir        string
	kubeconfig string
	address    string
	config     *rest.Config
	client     *kubernetes.Clientset
}

// environment is what all tests share.
type environment struct {
	host, virtual *controlPlane
	garret        *garret
}

var shared environment

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Short, because the path of a socket below it may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "api")
	if err == nil {
		defer os.RemoveAll(dir)
		var stop func()
		if stop, err = bringUp(dir); err == nil {
			defer stop()
			return m.Run()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// bringUp starts both control planes and garret-apiserver between them.
func bringUp(dir string) (func(), error) {
	type started struct {
		plane *controlPlane
		stop  func()
		err   error
	}
	begin := func(name string, args ...string) chan started {
		result := make(chan started, 1)
		go func() {
			plane, stop, err := startControlPlane(filepath.Join(dir, name), args...)
			result <- started{plane, stop, err}
		}()
		return result
	}
	// Without endpoints there is only the name of an ExternalName Service to go by.
	hosting := begin("host", "--kube-apiserver-arg=enable-aggregator-routing=false")
	inside := begin("virtual", "--tls-san="+v1.ServerName(insideName, insideNamespace))
	host, virtual := <-hosting, <-inside
	stop := func() { virtual.stop(); host.stop() }
	if err := errors.Join(host.err, virtual.err); err != nil {
		stop()
		return nil, err
	}
	shared.host, shared.virtual = host.plane, virtual.plane
	var err error
	if shared.garret, err = startGarret(filepath.Join(dir, "garret")); err != nil {
		stop()
		return nil, err
	}
	return func() { shared.garret.stop(); stop() }, nil
}

// binary finds what the build has made.
func binary(name string) (string, error) {
	path, err := filepath.Abs(filepath.Join("../../../bin", name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s must have been built: %w", name, err)
	}
	return path, nil
}

// startControlPlane starts one on a free port and waits until it answers and
// its default namespace is furnished.
func startControlPlane(dir string, args ...string) (*controlPlane, func(), error) {
	nothing := func() {}
	program, err := binary("controlplane")
	if err != nil {
		return nil, nothing, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nothing, err
	}
	port, err := freePort()
	if err != nil {
		return nil, nothing, err
	}
	p := &controlPlane{dir: dir, kubeconfig: filepath.Join(dir, "kubeconfig"), address: fmt.Sprintf("127.0.0.1:%d", port)}
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, nothing, err
	}
	args = append([]string{"server", "--data-dir=" + dir, fmt.Sprintf("--https-listen-port=%d", port), "--bind-address=127.0.0.1",
		"--write-kubeconfig=" + p.kubeconfig, "--disable-agent", "--disable-scheduler", "--disable-cloud-controller",
		"--flannel-backend=none", "--service-cidr=10.96.0.0/16"}, args...)
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, nothing, err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = command.Wait()
	}()
	stop := func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		<-exited
		output.Close()
	}
	err = wait.PollUntilContextTimeout(context.Background(), interval, timeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-exited:
			return false, errors.New("it has exited")
		default:
			return p.connect(ctx)
		}
	})
	if err != nil {
		log, _ := os.ReadFile(output.Name())
		return nil, stop, fmt.Errorf("control plane in %s: %w\n%s", dir, err, log[max(0, len(log)-4000):])
	}
	return p, stop, nil
}

func (p *controlPlane) connect(ctx context.Context) (bool, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		return false, nil
	}
	config.QPS, config.Burst = 500, 500
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		return false, err
	}
	p.config = config
	_, err = p.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err == nil, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay tests the way into a virtual cluster with the real thing on
// every side: a control plane, the syncer's issuer, an API server's handler
// chain in front of the relay, a kubelet's streams, and kubectl.
package relay

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
	namespace, name = "team", "demo"
	timeout         = time.Minute
	interval        = 50 * time.Millisecond
)

// controlPlane is the virtual cluster's, as its own administrator sees it.
type controlPlane struct {
	dataDir string
	address string
	config  *rest.Config
	client  *kubernetes.Clientset
}

var shared controlPlane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "relay")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stop, err := start(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return m.Run()
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

// start runs a control plane on a free port until the function that it returns is called.
func start(dir string) (func(), error) {
	program, err := binary("controlplane")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	command := exec.Command(program, "server", "--data-dir="+dir, fmt.Sprintf("--https-listen-port=%d", port), "--bind-address=127.0.0.1",
		"--write-kubeconfig="+kubeconfig, "--tls-san="+v1.ServerName(name, namespace), "--disable-agent", "--disable-scheduler",
		"--disable-cloud-controller", "--flannel-backend=none", "--service-cidr=10.96.0.0/16",
		"--kube-controller-manager-arg=controllers=*,-nodeipam,-nodelifecycle,-persistentvolume-binder,-attachdetach,-persistentvolume-expander,-ttl")
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, err
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
	shared = controlPlane{dataDir: dir, address: fmt.Sprintf("127.0.0.1:%d", port)}
	err = wait.PollUntilContextTimeout(context.Background(), interval, timeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-exited:
			return false, errors.New("it has exited")
		default:
		}
		return shared.connect(ctx, kubeconfig)
	})
	if err != nil {
		stop()
		log, _ := os.ReadFile(output.Name())
		return nil, fmt.Errorf("control plane: %w\n%s", err, log[max(0, len(log)-4000):])
	}
	return stop, nil
}

// connect tells whether the control plane is furnished.
func (c *controlPlane) connect(ctx context.Context, kubeconfig string) (bool, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return false, nil
	}
	config.QPS, config.Burst = 500, 500
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return false, err
	}
	c.config = config
	_, err = c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
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

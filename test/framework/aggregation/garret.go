// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/chart"
	"garret.dev/garret/test/framework"
)

// HostFlag is what a control plane that garret-apiserver stands behind must be
// started with: without nodes there are no endpoints, only the name of an
// ExternalName Service to go by.
const HostFlag = "--kube-apiserver-arg=enable-aggregator-routing=false"

// Garret is a garret-apiserver that its host takes for available.
type Garret struct {
	// Dir holds its data.
	Dir string
	// Kubeconfig is a file with the token of its ServiceAccount.
	Kubeconfig string
	// Address is where it listens itself, as host:port.
	Address string
	// PID is that of its first process, this one where Serve runs it.
	PID int
	// Program is nil where Serve runs it.
	Program *framework.Program
	// Clients reach it through the host, as the host's administrator.
	Clients *versioned.Clientset
}

// Serve runs a garret-apiserver in this process, with options changed by the
// function given, which may be nil.
func Serve(stage *framework.Stage, host *framework.ControlPlane, change func(*apiserver.Options)) (*Garret, error) {
	ctx := context.Background()
	g, err := prepare(ctx, stage, host)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.Address = listener.Addr().String()
	options := apiserver.NewOptions()
	options.Datastore.DataDir = filepath.Join(g.Dir, "data")
	options.Recommended.CoreAPI.CoreAPIKubeconfigPath = g.Kubeconfig
	options.Recommended.SecureServing.Listener = listener
	options.ValidateValues = chart.TenantErrors
	if change != nil {
		change(options)
	}
	if err := errors.Join(options.Complete(), options.Validate()); err != nil {
		return nil, err
	}
	g.PID = os.Getpid()
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		ended = apiserver.Run(run, options)
	}()
	stage.OnStop(func() { cancel(); <-done })
	if err := Register(ctx, host, listener.Addr().(*net.TCPAddr).Port); err != nil {
		return nil, err
	}
	return g, g.await(ctx, func() error {
		select {
		case <-done:
			return fmt.Errorf("garret-apiserver ended: %w", ended)
		default:
			return nil
		}
	})
}

// Start runs the binary of garret-apiserver, with further flags.
func Start(stage *framework.Stage, host *framework.ControlPlane, flags ...string) (*Garret, error) {
	ctx := context.Background()
	g, err := prepare(ctx, stage, host)
	if err != nil {
		return nil, err
	}
	port, err := framework.FreePort()
	if err != nil {
		return nil, err
	}
	g.Address = fmt.Sprintf("127.0.0.1:%d", port)
	g.Program, err = stage.StartProgram("garret", "garret-apiserver", append([]string{"--kubeconfig=" + g.Kubeconfig,
		"--data-dir=" + filepath.Join(g.Dir, "data"), fmt.Sprintf("--secure-port=%d", port), "--bind-address=127.0.0.1",
		"--namespace=" + v1.SystemNamespace, "--resolve-services=" + apiserver.ResolveAPI}, flags...)...)
	if err != nil {
		return nil, err
	}
	g.PID = g.Program.PID()
	if err := Register(ctx, host, port); err != nil {
		return nil, err
	}
	return g, g.await(ctx, g.Program.Ended)
}

// prepare gives garret-apiserver its account and its rights.
func prepare(ctx context.Context, stage *framework.Stage, host *framework.ControlPlane) (*Garret, error) {
	dir := filepath.Join(stage.Dir, "garret")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := InstallRBAC(ctx, host); err != nil {
		return nil, err
	}
	g := &Garret{Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig")}
	if err := host.WriteServiceAccount(ctx, g.Kubeconfig, v1.SystemNamespace, serviceAccount); err != nil {
		return nil, err
	}
	var err error
	g.Clients, err = versioned.NewForConfig(host.Config)
	return g, err
}

// await waits until requests come through the host, or garret-apiserver has ended.
func (g *Garret) await(ctx context.Context, ended func() error) error {
	last := errors.New("never tried")
	err := framework.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := ended(); err != nil {
			return false, err
		}
		_, last = g.Clients.TenancyV1().VirtualClusters(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("garret-apiserver is not available: %w; last: %w", err, last)
	}
	return nil
}

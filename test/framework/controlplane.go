// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// ServiceCIDR is the range of Services of every control plane. It is large, for several
	// choose addresses of it that all have to be free on one.
	ServiceCIDR = "10.96.0.0/12"
	// WithoutNodes leaves out the controllers that are of no use without nodes.
	WithoutNodes = "--kube-controller-manager-arg=controllers=*,-nodeipam,-nodelifecycle,-persistentvolume-binder,-attachdetach,-persistentvolume-expander,-ttl"

	// queriesPerSecond is what a client of the tests may send: more than they do.
	queriesPerSecond = 500
)

// ControlPlane is a kube-apiserver, with aggregation and controllers, as its administrator sees it.
type ControlPlane struct {
	// Dir is its data directory, laid out as k3s does.
	Dir string
	// Kubeconfig is the administrator's, a file.
	Kubeconfig string
	// Address is where it listens, as host:port.
	Address string
	Config  *rest.Config
	Client  *kubernetes.Clientset
}

// StartControlPlane starts one on a free port, with further flags, and waits
// until it answers and its default namespace is furnished.
func (s *Stage) StartControlPlane(name string, args ...string) (*ControlPlane, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir, name)
	c := &ControlPlane{Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), Address: fmt.Sprintf("127.0.0.1:%d", port)}
	process, err := s.Start(name, "controlplane", append([]string{"server", "--data-dir=" + dir,
		fmt.Sprintf("--https-listen-port=%d", port), "--bind-address=127.0.0.1", "--write-kubeconfig=" + c.Kubeconfig,
		"--disable-agent", "--disable-scheduler", "--disable-cloud-controller", "--flannel-backend=none",
		"--service-cidr=" + ServiceCIDR}, args...)...)
	if err != nil {
		return nil, err
	}
	err = Poll(context.Background(), func(ctx context.Context) (bool, error) {
		if err := process.Ended(); err != nil {
			return false, err
		}
		return c.connect(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("control plane %s: %w\n%s", name, err, process.Log())
	}
	return c, nil
}

// Kubectl is kubectl as the control plane's administrator.
func (c *ControlPlane) Kubectl() Client { return NewClient(c.Kubeconfig) }

// NewNamespace makes a namespace of the test's own, which goes with the control plane.
func (c *ControlPlane) NewNamespace(t testing.TB, prefix string) string {
	t.Helper()
	namespace, err := c.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			GenerateName: prefix, Labels: map[string]string{v1.LabelEnforce: string(v1.PodSecurityBaseline)}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// connect tells whether the control plane is furnished.
func (c *ControlPlane) connect(ctx context.Context) (bool, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return false, nil // not written yet
	}
	config.QPS, config.Burst = queriesPerSecond, queriesPerSecond
	if c.Client, err = kubernetes.NewForConfig(config); err != nil {
		return false, err
	}
	c.Config = config
	_, err = c.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err == nil, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package deployed plays the kubelet for the pods of virtual clusters on a host
// without nodes: it runs the containers of a release as processes of this machine,
// with the arguments that the chart gave them, as the release's own ServiceAccount.
//
// Tests can kill its processes, start them again, and restore their data.
package deployed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
)

const (
	// podIP is the address that the pod is said to have. Nothing is sent to it.
	podIP = "192.0.2.7"
	// restartPause is how long a syncer that ended stays away, as the kubelet has it.
	restartPause = 100 * time.Millisecond
)

// Cluster is a virtual cluster whose pod runs here.
type Cluster struct {
	*v1.VirtualCluster
	// Dir holds the files of its containers.
	Dir string
	// ControlPlane and Syncer are its containers.
	ControlPlane, Syncer *framework.Program
	// Kubeconfig is the administrator's inside, and Client its client.
	Kubeconfig string
	Client     *kubernetes.Clientset
	// sockets is the directory that both containers mount.
	sockets string
}

// Run creates the virtual cluster and runs what the controller deploys for it, until the test ends.
func Run(t testing.TB, host *framework.ControlPlane, clients versioned.Interface, object *v1.VirtualCluster) *Cluster {
	t.Helper()
	created, err := clients.TenancyV1().VirtualClusters(object.Namespace).Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "vc")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{VirtualCluster: created, Dir: dir}
	t.Cleanup(c.remove)
	var set *appsv1.StatefulSet
	framework.Eventually(t, "the controller has deployed "+object.Name, func(ctx context.Context) (bool, error) {
		set, err = host.Client.AppsV1().StatefulSets(object.Namespace).Get(ctx, v1.ReleaseName(object.Name), metav1.GetOptions{})
		return err == nil, nil
	})
	if err := c.prepare(t.Context(), host, &set.Spec.Template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Syncer.Kill()
		c.ControlPlane.Kill()
		if t.Failed() {
			t.Logf("the end of the log of the control plane:\n%s\nthe end of the log of the syncer:\n%s", c.ControlPlane.Log(), c.Syncer.Log())
		}
	})
	c.StartControlPlane(t)
	if err := c.Syncer.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Cluster) remove() {
	_ = os.RemoveAll(c.Dir)
	_ = os.RemoveAll(c.sockets)
}

// Data is the directory of the volume that is mounted at /data.
func (c *Cluster) Data() string { return filepath.Join(c.Dir, "data") }

// prepare makes programs of the containers of a pod.
func (c *Cluster) prepare(ctx context.Context, host *framework.ControlPlane, template *corev1.PodTemplateSpec) error {
	var ports [5]int
	for i := range ports {
		var err error
		if ports[i], err = framework.FreePort(); err != nil {
			return err
		}
	}
	account := filepath.Join(c.Dir, "host.kubeconfig")
	authority, egress := filepath.Join(c.Dir, "client-ca.crt"), filepath.Join(c.Dir, "egress.yaml")
	// Unix sockets have short names only.
	var err error
	if c.sockets, err = os.MkdirTemp("/tmp", "doors"); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(c.Data(), 0o700),
		host.WriteServiceAccount(ctx, account, c.Namespace, template.Spec.ServiceAccountName),
		os.WriteFile(authority, []byte(template.Annotations["tenancy.garret.dev/client-ca"]), 0o600),
		os.WriteFile(egress, []byte(strings.ReplaceAll(template.Annotations["tenancy.garret.dev/egress-selector"], "/run/garret", c.sockets)), 0o600)); err != nil {
		return err
	}
	if err := c.writeAudit(template, ports[3]); err != nil {
		return err
	}
	c.Kubeconfig = filepath.Join(c.Dir, "admin.kubeconfig")
	here := strings.NewReplacer("--data-dir=/data", "--data-dir="+c.Data(), "--https-listen-port=6443", fmt.Sprintf("--https-listen-port=%d", ports[0]),
		"=/data/kubeconfig.yaml", "="+c.Kubeconfig, "/etc/garret/client-ca/ca.crt", authority,
		"/etc/garret/audit/", c.Dir+"/audit-", "/etc/garret/egress/egress.yaml", egress, "--egress-dir=/run/garret", "--egress-dir="+c.sockets, "$(POD_IP)", podIP)
	for _, container := range template.Spec.Containers {
		var args []string
		for _, arg := range container.Args {
			args = append(args, here.Replace(arg))
		}
		switch container.Name {
		case "k3s":
			c.ControlPlane = framework.NewProgram(filepath.Join(c.Dir, "k3s"), "controlplane", append(args, "--bind-address=127.0.0.1")...)
		case "syncer":
			c.Syncer = framework.NewProgram(filepath.Join(c.Dir, "syncer"), "garret-syncer", append(args, "--host-kubeconfig="+account,
				"--bind-address=127.0.0.1", fmt.Sprintf("--kubelet-port=%d", ports[1]), fmt.Sprintf("--issuer-port=%d", ports[2]),
				fmt.Sprintf("--webhook-port=%d", ports[3]), fmt.Sprintf("--health-port=%d", ports[4]), "--v=2")...)
		}
	}
	if c.ControlPlane == nil || c.Syncer == nil {
		return errors.New("the pod of the release has other containers than k3s and syncer")
	}
	return nil
}

// writeAudit writes what the release has of a volume for audit, with the syncer's webhook at
// the port.
func (c *Cluster) writeAudit(template *corev1.PodTemplateSpec, port int) error {
	webhook := strings.NewReplacer(fmt.Sprintf(":%d/", v1.PortWebhook), fmt.Sprintf(":%d/", port), " /data/", " "+c.Data()+"/")
	for file, content := range map[string]string{
		"audit-policy.yaml":  template.Annotations["tenancy.garret.dev/audit-policy"],
		"audit-webhook.yaml": webhook.Replace(template.Annotations["tenancy.garret.dev/audit-webhook"]),
	} {
		if err := os.WriteFile(filepath.Join(c.Dir, file), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// StartControlPlane starts it and waits until it serves.
func (c *Cluster) StartControlPlane(t testing.TB) {
	t.Helper()
	if err := c.ControlPlane.Start(); err != nil {
		t.Fatal(err)
	}
	c.awaitControlPlane(t)
}

// awaitControlPlane waits until the control plane is ready.
func (c *Cluster) awaitControlPlane(t testing.TB) {
	t.Helper()
	framework.Eventually(t, "the control plane inside is ready", func(ctx context.Context) (bool, error) {
		if err := c.ControlPlane.Ended(); err != nil {
			return false, err
		}
		config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
		if err != nil {
			return false, nil // not written yet
		}
		config.QPS, config.Burst = 500, 500
		if c.Client, err = kubernetes.NewForConfig(config); err != nil {
			return false, err
		}
		body, err := c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil && string(body) == "ok", nil
	})
}

// Supervise starts the syncer again whenever it ends, as a kubelet does, until the
// context does.
func (c *Cluster) Supervise(ctx context.Context) {
	for ctx.Err() == nil {
		if c.Syncer.Ended() != nil {
			_ = c.Syncer.Start()
		}
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
		}
	}
}

// Kill ends both containers at once.
func (c *Cluster) Kill() {
	c.Syncer.Kill()
	c.ControlPlane.Kill()
}

// Backup copies the data of the control plane, which must not run.
func (c *Cluster) Backup(t testing.TB) string {
	t.Helper()
	to, err := os.MkdirTemp(c.Dir, "backup")
	if err == nil {
		err = os.CopyFS(to, os.DirFS(c.Data()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// Restore puts a copy back; an empty name leaves an empty volume.
func (c *Cluster) Restore(t testing.TB, from string) {
	t.Helper()
	err := os.RemoveAll(c.Data())
	if err == nil {
		err = os.Mkdir(c.Data(), 0o700)
	}
	if err == nil && from != "" {
		err = os.CopyFS(c.Data(), os.DirFS(from))
	}
	if err != nil {
		t.Fatal(err)
	}
}

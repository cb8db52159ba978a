// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package component says how each program of a host cluster is run: its
// command line, its configuration files and its credentials. It starts
// nothing.
package component

import (
	"fmt"
	"os"
	"path/filepath"

	"garret.dev/garret/test/host/internal/network"
	"garret.dev/garret/test/host/internal/process"
)

// Names of the components. Those of a node are followed by "-" and its name.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Provisioner       = "provisioner"
	MetricsServer     = "metrics-server"
	Containerd        = "containerd"
	Kubelet           = "kubelet"
	KubeProxy         = "kube-proxy"
	NetworkPolicies   = "network-policies"
)

// ClusterDomain is the DNS domain of the host cluster.
const ClusterDomain = "cluster.local"

// Host is what the components of one cluster have in common.
type Host struct {
	// Name of the cluster; nodes are named after it.
	Name string
	// Dir holds data, configuration and credentials, Run sockets and mounts.
	Dir, Run string
	// BinDir holds kube, containerd, its shim, ctr, metrics-server and, if wanted, netpol; CNIDir the plugins.
	BinDir, CNIDir string
	Net            network.Network
	// Reserved has all nodes but the first begin with the taint TaintReserved.
	Reserved bool
}

// TaintReserved is the key of the taint of reserved nodes.
const TaintReserved = "garret.dev/reserved"

// Node is the name of the n-th node, counting from 1.
func (h Host) Node(n int) string { return h.Name + "-" + network.NodeName(n) }

// Of is the name under which a node's component runs.
func (h Host) Of(component string, n int) string { return component + "-" + network.NodeName(n) }

// CgroupRoot is the control group of a node, as the kubelet wants it written. A kubelet
// kills what it does not know there, be it of a host of the same name in another folder.
func (h Host) CgroupRoot(n int) string { return fmt.Sprintf("/garret-%s-%d", h.Node(n), h.Net.Index) }

// NodeDir is a node's data, NodeRun its run-time state.
func (h Host) NodeDir(n int) string { return filepath.Join(h.Dir, network.NodeName(n)) }

// NodeRun is where a node's sockets and mounts lie.
func (h Host) NodeRun(n int) string { return filepath.Join(h.Run, network.NodeName(n)) }

// KubeletDir is where a node's kubelet meets plugins, CDIDir where its runtime finds devices.
func (h Host) KubeletDir(n int) string { return filepath.Join(h.NodeDir(n), "kubelet") }

// CDIDir holds specs of the Container Device Interface.
func (h Host) CDIDir(n int) string { return filepath.Join(h.NodeDir(n), "cdi") }

// Socket is the node's container runtime endpoint, without a scheme.
func (h Host) Socket(n int) string { return filepath.Join(h.NodeRun(n), "containerd.sock") }

// VolumeDir is where the provisioner keeps a node's volumes.
func (h Host) VolumeDir() string { return filepath.Join(h.Dir, "volumes") }

func (h Host) pki(file string) string { return filepath.Join(h.Dir, "pki", file) }

func (h Host) kubeconfig(user string) string {
	return filepath.Join(h.Dir, "kubeconfigs", user+".kubeconfig")
}

// spec is a program that runs in a node's network.
func (h Host) spec(name string, node int, program string, args ...string) process.Spec {
	return process.Spec{
		Name:  name,
		Args:  append([]string{filepath.Join(h.BinDir, program)}, args...),
		Env:   h.env(),
		NetNS: h.Net.Namespace(node),
	}
}

// kube is a program out of the kube binary.
func (h Host) kube(name string, node int, program string, args ...string) process.Spec {
	return h.spec(name, node, "kube", append([]string{program}, args...)...)
}

// env is made from nothing, so that no proxy setting or credential of the
// caller finds its way into the cluster. Ours comes first in the path:
// containerd looks there for its shim.
func (h Host) env() []string {
	return []string{
		"PATH=" + h.BinDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + h.Dir,
		"TMPDIR=" + os.TempDir(),
	}
}

// flag writes one command line flag.
func flag(name string, value any) string { return fmt.Sprintf("--%s=%v", name, value) }

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"fmt"
	"path/filepath"
	"strings"

	"garret.dev/garret/test/host/internal/process"
)

// PauseImage is the image of every pod's sandbox.
const PauseImage = "registry.k8s.io/pause:3.10"

// ContainerdSpec runs a node's container runtime.
func (h Host) ContainerdSpec(n int) process.Spec {
	config := filepath.Join(h.NodeDir(n), "containerd.toml")
	return reading(h.spec(h.Of(Containerd, n), n, "containerd", "--config", config), config)
}

// KubeletSpec runs a node's kubelet.
func (h Host) KubeletSpec(n int) process.Spec {
	config := filepath.Join(h.NodeDir(n), "kubelet.yaml")
	return reading(h.kube(h.Of(Kubelet, n), n, "kubelet",
		flag("config", config),
		flag("kubeconfig", h.kubeconfig(h.Of(Kubelet, n))),
		flag("root-dir", h.KubeletDir(n)),
		flag("cert-dir", filepath.Join(h.KubeletDir(n), "pki")),
		flag("hostname-override", h.Node(n)),
		flag("node-ip", h.Net.Node(n)),
	), config)
}

// KubeProxySpec runs a node's kube-proxy.
func (h Host) KubeProxySpec(n int) process.Spec {
	config := filepath.Join(h.NodeDir(n), "kube-proxy.yaml")
	return reading(h.kube(h.Of(KubeProxy, n), n, "kube-proxy", flag("config", config)), config)
}

// NetworkPoliciesSpec runs what enforces NetworkPolicies on a node. Its rules belong to the
// network of the node, and end with it.
func (h Host) NetworkPoliciesSpec(n int) process.Spec {
	return h.spec(h.Of(NetworkPolicies, n), n, "netpol", flag("kubeconfig", h.kubeconfig(NetworkPolicies)), flag("node", h.Node(n)))
}

// reading adds the configuration that a program reads at its start.
func reading(spec process.Spec, config string) process.Spec {
	spec.Inputs = []string{config}
	return spec
}

// NodeFiles are a node's configuration files by path.
func (h Host) NodeFiles(n int) map[string]string {
	dir := h.NodeDir(n)
	return map[string]string{
		filepath.Join(dir, "containerd.toml"):           h.containerdConfig(n),
		filepath.Join(dir, "kubelet.yaml"):              h.kubeletConfig(n),
		filepath.Join(dir, "kube-proxy.yaml"):           h.kubeProxyConfig(n),
		filepath.Join(dir, "cni", "10-garret.conflist"): h.cniConfig(n),
		// Pods ask the cluster's DNS and nobody else.
		filepath.Join(dir, "resolv.conf"): "",
	}
}

func (h Host) containerdConfig(n int) string {
	return fmt.Sprintf(`version = 4
root = %q
state = %q
# Plugins which would reach for sockets that two instances cannot share, or
# which nothing here uses.
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile"]

[plugins."io.containerd.server.v1.grpc"]
  address = %q

[plugins."io.containerd.server.v1.ttrpc"]
  address = %q

[plugins."io.containerd.metadata.v1.bolt"]
  no_sync = true # as with etcd: this is a test host

[plugins."io.containerd.shim.v1.manager"]
  socket_dir = %q

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %q
  # Empty, unless somebody writes there where images may be pulled from.
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = %q

[plugins."io.containerd.cri.v1.runtime"]
  # Lowering a score below one's own needs CAP_SYS_RESOURCE, which containers
  # and some virtual machines do not give to root.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  # Drivers of devices write here what they add to containers of this node.
  cdi_spec_dirs = [%q]
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = %q
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%q]
    conf_dir = %q
    use_internal_loopback = true
`,
		filepath.Join(h.NodeDir(n), "containerd"), filepath.Join(h.NodeRun(n), "containerd"), h.Socket(n), h.Socket(n)+".ttrpc",
		filepath.Join(h.NodeRun(n), "s"), PauseImage, filepath.Join(h.NodeDir(n), "registries"), h.CDIDir(n), filepath.Join(h.NodeRun(n), "runc"),
		h.CNIDir, filepath.Join(h.NodeDir(n), "cni"))
}

// cniConfig is one bridge per node. Leases are run-time state: they end with
// the network namespaces that they belong to.
func (h Host) cniConfig(n int) string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "garret",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": %q
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, h.Net.NodePodNet(n), filepath.Join(h.NodeRun(n), "ipam"))
}

func (h Host) kubeletConfig(n int) string {
	dir, taints := h.NodeDir(n), "[]"
	if h.Reserved && n > 1 {
		taints = fmt.Sprintf("[{key: %q, effect: NoSchedule}]", TaintReserved)
	}
	return strings.Join([]string{
		"apiVersion: kubelet.config.k8s.io/v1beta1",
		"kind: KubeletConfiguration",
		"address: 0.0.0.0",
		"authentication:",
		"  anonymous: {enabled: false}",
		"  webhook: {enabled: true}",
		fmt.Sprintf("  x509: {clientCAFile: %q}", h.pki("ca.crt")),
		"authorization: {mode: Webhook}",
		fmt.Sprintf("tlsCertFile: %q", h.pki(h.Of(Kubelet, n)+"-server.crt")),
		fmt.Sprintf("tlsPrivateKeyFile: %q", h.pki(h.Of(Kubelet, n)+"-server.key")),
		fmt.Sprintf("containerRuntimeEndpoint: %q", "unix://"+h.Socket(n)),
		fmt.Sprintf("clusterDomain: %q", ClusterDomain),
		fmt.Sprintf("clusterDNS: [%q]", h.Net.DNS()),
		fmt.Sprintf("resolvConf: %q", filepath.Join(dir, "resolv.conf")),
		"cgroupDriver: cgroupfs",
		fmt.Sprintf("cgroupRoot: %q", h.CgroupRoot(n)),
		"failCgroupV1: false # many machines still have separate hierarchies",
		"failSwapOn: false",
		"maxPods: 200",
		"podPidsLimit: -1",
		"serializeImagePulls: false",
		"syncFrequency: 10s",
		"nodeStatusUpdateFrequency: 5s",
		"nodeLeaseDurationSeconds: 40",
		"volumeStatsAggPeriod: 1m",
		"imageGCHighThresholdPercent: 100 # images come by hand and could not be pulled again",
		"imageGCLowThresholdPercent: 99",
		"evictionHard:",
		"  memory.available: 50Mi",
		"  nodefs.available: 1%",
		"  nodefs.inodesFree: 1%",
		"  imagefs.available: 1%",
		"  imagefs.inodesFree: 1%",
		"enableControllerAttachDetach: true",
		fmt.Sprintf("podLogsDir: %q", filepath.Join(dir, "pod-logs")),
		fmt.Sprintf("volumePluginDir: %q", filepath.Join(dir, "volume-plugins")),
		"healthzBindAddress: 127.0.0.1",
		"registerWithTaints: " + taints,
		"",
	}, "\n")
}

// kubeProxyConfig leaves connection tracking's limits alone: they are the
// machine's, and cannot be set from a network namespace.
func (h Host) kubeProxyConfig(n int) string {
	return strings.Join([]string{
		"apiVersion: kubeproxy.config.k8s.io/v1alpha1",
		"kind: KubeProxyConfiguration",
		"mode: iptables",
		fmt.Sprintf("clientConnection: {kubeconfig: %q}", h.kubeconfig(KubeProxy)),
		fmt.Sprintf("hostnameOverride: %q", h.Node(n)),
		"detectLocalMode: ClusterCIDR",
		fmt.Sprintf("clusterCIDR: %q", h.Net.PodNet()),
		"metricsBindAddress: 127.0.0.1:10249",
		"healthzBindAddress: 127.0.0.1:10256",
		"iptables: {syncPeriod: 30s, minSyncPeriod: 100ms}",
		"conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}",
		"",
	}, "\n")
}

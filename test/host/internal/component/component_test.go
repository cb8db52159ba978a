// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"k8s.io/client-go/tools/clientcmd"
	kubeproxyv1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeletv1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	"garret.dev/garret/test/host/internal/network"
	"garret.dev/garret/test/host/internal/process"
)

func testHost(dir string) Host {
	return Host{
		Name: "test", Dir: dir, Run: "/run/garret-host/3", BinDir: "/opt/bin", CNIDir: "/opt/cni",
		Net: network.Network{Plan: network.Plan{Index: 3}, Dir: "/run/garret-host/3/net"},
	}
}

// file returns the content of a node's file of that name.
func file(t *testing.T, h Host, n int, name string) string {
	t.Helper()
	for path, content := range h.NodeFiles(n) {
		if filepath.Base(path) == name {
			return content
		}
	}
	t.Fatalf("node %d has no file %s", n, name)
	return ""
}

func TestKubeletConfig(t *testing.T) {
	h := testHost("/state")
	var config kubeletv1.KubeletConfiguration
	if err := yaml.UnmarshalStrict([]byte(file(t, h, 2, "kubelet.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	for field, pair := range map[string][2]string{
		"containerRuntimeEndpoint": {config.ContainerRuntimeEndpoint, "unix:///run/garret-host/3/node2/containerd.sock"},
		"cgroupRoot":               {config.CgroupRoot, "/garret-test-node2-3"},
		"clusterDNS":               {strings.Join(config.ClusterDNS, " "), "10.203.128.10"},
		"tlsCertFile":              {config.TLSCertFile, "/state/pki/kubelet-node2-server.crt"},
		"clientCAFile":             {config.Authentication.X509.ClientCAFile, "/state/pki/ca.crt"},
		"resolvConf":               {*config.ResolverConfig, "/state/node2/resolv.conf"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", field, pair[0], pair[1])
		}
	}
	if config.Authentication.Anonymous.Enabled == nil || *config.Authentication.Anonymous.Enabled {
		t.Error("anyone may use the kubelet")
	}
	if config.FailCgroupV1 == nil || *config.FailCgroupV1 {
		t.Error("the kubelet refuses machines with separate hierarchies")
	}
}

func TestKubeProxyConfig(t *testing.T) {
	var config kubeproxyv1.KubeProxyConfiguration
	if err := yaml.UnmarshalStrict([]byte(file(t, testHost("/state"), 1, "kube-proxy.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	if config.HostnameOverride != "test-node1" || config.ClusterCIDR != "10.203.64.0/18" {
		t.Errorf("got node %q and pods %q", config.HostnameOverride, config.ClusterCIDR)
	}
	if config.Conntrack.MaxPerCore == nil || *config.Conntrack.MaxPerCore != 0 {
		t.Error("kube-proxy would set limits of the machine")
	}
}

func TestContainerdConfig(t *testing.T) {
	type table = map[string]any
	var config table
	if _, err := toml.Decode(file(t, testHost("/state"), 2, "containerd.toml"), &config); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) any {
		var value any = config
		for _, key := range path {
			value = value.(table)[key]
		}
		return value
	}
	const runtime, images = "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"
	for want, path := range map[any][]string{
		"/state/node2/containerd":                  {"root"},
		"/run/garret-host/3/node2/containerd":      {"state"},
		"/run/garret-host/3/node2/containerd.sock": {"plugins", "io.containerd.server.v1.grpc", "address"},
		"/run/garret-host/3/node2/s":               {"plugins", "io.containerd.shim.v1.manager", "socket_dir"},
		"/state/node2/registries":                  {"plugins", images, "registry", "config_path"},
		PauseImage:                                 {"plugins", images, "pinned_images", "sandbox"},
		true:                                       {"plugins", runtime, "restrict_oom_score_adj"},
		"/state/node2/cni":                         {"plugins", runtime, "cni", "conf_dir"},
		"/run/garret-host/3/node2/runc":            {"plugins", runtime, "containerd", "runtimes", "runc", "options", "Root"},
	} {
		if got := at(path...); got != want {
			t.Errorf("%s: got %v, want %v", strings.Join(path, "."), got, want)
		}
	}
}

func TestCNIConfig(t *testing.T) {
	var config struct {
		Plugins []struct {
			Type string
			IPAM struct {
				Ranges  [][]struct{ Subnet string }
				DataDir string
			}
		}
	}
	if err := json.Unmarshal([]byte(file(t, testHost("/state"), 2, "10-garret.conflist")), &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Plugins) != 2 || config.Plugins[0].Type != "bridge" {
		t.Fatalf("got %+v", config)
	}
	ipam := config.Plugins[0].IPAM
	if got := ipam.Ranges[0][0].Subnet; got != "10.203.66.0/24" {
		t.Errorf("pods of node 2: got %s", got)
	}
	if got := ipam.DataDir; got != "/run/garret-host/3/node2/ipam" {
		t.Errorf("leases: got %s, want a folder of this node that a reboot empties", got)
	}
}

// Two nodes share the machine's file system, and two clusters the machine.
func TestNodesShareNoFile(t *testing.T) {
	h := testHost("/state")
	seen := map[string]bool{}
	for n := 1; n <= 3; n++ {
		for path := range h.NodeFiles(n) {
			if seen[path] {
				t.Errorf("%s belongs to two nodes", path)
			}
			seen[path] = true
		}
		for _, spec := range []process.Spec{h.ContainerdSpec(n), h.KubeletSpec(n), h.KubeProxySpec(n)} {
			if seen[spec.Name] {
				t.Errorf("%s is the name of two components", spec.Name)
			}
			seen[spec.Name] = true
			if spec.NetNS != h.Net.Namespace(n) {
				t.Errorf("%s runs in the network %s", spec.Name, spec.NetNS)
			}
			for _, input := range spec.Inputs {
				if _, ok := h.NodeFiles(n)[input]; !ok {
					t.Errorf("%s reads %s, which nobody writes", spec.Name, input)
				}
			}
		}
	}
}

// The longest path that anything is to be reached at must fit into the
// kernel's limit of 107 bytes.
func TestSocketPathsFit(t *testing.T) {
	h := testHost("/state")
	h.Run = "/run/garret-host/49"
	shim := filepath.Join(h.NodeRun(network.MaxNodes), "s", strings.Repeat("f", 64))
	for _, path := range []string{h.Socket(network.MaxNodes) + ".ttrpc", shim} {
		if len(path) > 107 {
			t.Errorf("%s has %d bytes", path, len(path))
		}
	}
}

// Every file that a command line names must be one that is written.
func TestCredentialsAreWritten(t *testing.T) {
	h := testHost(t.TempDir())
	if err := h.WriteCredentials(2); err != nil {
		t.Fatal(err)
	}
	specs := []process.Spec{h.EtcdSpec(), h.APIServerSpec(), h.ControllerManagerSpec(), h.SchedulerSpec(), h.ProvisionerSpec(), h.MetricsServerSpec(), h.KubeletSpec(1), h.KubeletSpec(2), h.NetworkPoliciesSpec(2)}
	for _, spec := range specs {
		for _, arg := range spec.Args {
			_, path, _ := strings.Cut(arg, "=")
			dir := filepath.Base(filepath.Dir(path))
			if dir != "pki" && dir != "kubeconfigs" || !strings.HasPrefix(path, h.Dir) || strings.Contains(arg, "cert-dir") {
				continue
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %s: %v", spec.Name, arg, err)
			}
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", h.AdminKubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://10.203.0.11:6443" {
		t.Errorf("server: got %s", config.Host)
	}
	if info, err := os.Stat(h.AdminKubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("administrator's kubeconfig: got %v, %v; want mode 600", info.Mode(), err)
	}
}

func TestCertificateHosts(t *testing.T) {
	got := testHost("/state").CertificateHosts()
	for _, want := range []string{"localhost", "127.0.0.1", "10.203.0.11", "10.203.128.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
}

func TestWriteUser(t *testing.T) {
	h := testHost(t.TempDir())
	path, err := h.WriteUser("jane", "readers")
	if err != nil {
		t.Fatal(err)
	}
	if config, err := clientcmd.BuildConfigFromFlags("", path); err != nil || len(config.CertData) == 0 {
		t.Errorf("got %v, %v", config, err)
	}
	for _, name := range []string{"", "../jane", "a/b"} {
		if path, err := h.WriteUser(name); err == nil {
			t.Errorf("user %q: got %s, want it refused", name, path)
		}
	}
}

// A proxy setting or a credential of the caller must not find its way in.
func TestEnvironmentIsOurs(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example")
	for _, variable := range testHost("/state").KubeletSpec(1).Env {
		name, value, _ := strings.Cut(variable, "=")
		if !slices.Contains([]string{"PATH", "HOME", "TMPDIR"}, name) {
			t.Errorf("got %s", variable)
		}
		if name == "PATH" && !strings.HasPrefix(value, "/opt/bin:") {
			t.Errorf("got %s, want our own shim to be found first", variable)
		}
	}
}

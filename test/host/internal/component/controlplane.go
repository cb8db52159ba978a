// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"path/filepath"
	"strings"

	"garret.dev/garret/test/host/internal/process"
)

// etcdURL is where etcd answers within the first node's network.
const etcdURL = "http://127.0.0.1:2379"

// serviceAccountIssuer is the issuer of the host's ServiceAccount tokens.
const serviceAccountIssuer = "https://kubernetes.default.svc." + ClusterDomain

// EtcdSpec runs etcd without fsync: a test host may lose its last writes when
// the machine dies, not when a process does.
func (h Host) EtcdSpec() process.Spec {
	return h.kube(Etcd, 1, "etcd",
		flag("name", h.Name),
		flag("data-dir", filepath.Join(h.Dir, "etcd")),
		flag("listen-client-urls", etcdURL),
		flag("advertise-client-urls", etcdURL),
		flag("listen-peer-urls", "http://127.0.0.1:2380"),
		flag("initial-advertise-peer-urls", "http://127.0.0.1:2380"),
		flag("initial-cluster", h.Name+"=http://127.0.0.1:2380"),
		flag("listen-metrics-urls", "http://127.0.0.1:2381"),
		flag("unsafe-no-fsync", true),
		flag("log-level", "warn"),
		flag("heartbeat-interval", 1000), // a single member has nobody to convince
		flag("election-timeout", 5000),
		flag("initial-election-tick-advance", true),
	)
}

// APIServerSpec runs kube-apiserver with all that aggregation needs.
func (h Host) APIServerSpec() process.Spec {
	return h.kube(APIServer, 1, "kube-apiserver",
		flag("bind-address", "0.0.0.0"),
		flag("secure-port", 6443),
		flag("advertise-address", h.Net.Node(1)),
		flag("etcd-servers", etcdURL),
		flag("service-cluster-ip-range", h.Net.ServiceNet()),
		flag("allow-privileged", true),
		flag("authorization-mode", "Node,RBAC"),
		flag("enable-admission-plugins", "NodeRestriction"),
		flag("client-ca-file", h.pki("ca.crt")),
		flag("tls-cert-file", h.pki("apiserver.crt")),
		flag("tls-private-key-file", h.pki("apiserver.key")),
		flag("kubelet-certificate-authority", h.pki("ca.crt")),
		flag("kubelet-client-certificate", h.pki("apiserver-kubelet-client.crt")),
		flag("kubelet-client-key", h.pki("apiserver-kubelet-client.key")),
		flag("kubelet-preferred-address-types", "InternalIP"), // node names resolve nowhere
		flag("service-account-issuer", serviceAccountIssuer),
		flag("service-account-key-file", h.pki("service-account.pub")),
		flag("service-account-signing-key-file", h.pki("service-account.key")),
		flag("requestheader-client-ca-file", h.pki("front-proxy-ca.crt")),
		flag("requestheader-allowed-names", frontProxyClient),
		flag("requestheader-username-headers", "X-Remote-User"),
		flag("requestheader-group-headers", "X-Remote-Group"),
		flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
		flag("proxy-client-cert-file", h.pki("front-proxy-client.crt")),
		flag("proxy-client-key-file", h.pki("front-proxy-client.key")),
		flag("enable-aggregator-routing", true),
		flag("profiling", false),
	)
}

// ControllerManagerSpec runs kube-controller-manager. It elects no leader:
// there is one, and waiting for a dead one's lease would slow every restart.
func (h Host) ControllerManagerSpec() process.Spec {
	kubeconfig := h.kubeconfig(ControllerManager)
	return h.kube(ControllerManager, 1, "kube-controller-manager",
		flag("kubeconfig", kubeconfig),
		flag("authentication-kubeconfig", kubeconfig),
		flag("authorization-kubeconfig", kubeconfig),
		flag("bind-address", "127.0.0.1"),
		flag("leader-elect", false),
		flag("use-service-account-credentials", true),
		// With the default of 20 a second, giving each of its controllers a
		// credential alone would keep all of them waiting for 5 s.
		flag("kube-api-qps", 1000),
		flag("kube-api-burst", 2000),
		flag("root-ca-file", h.pki("ca.crt")),
		flag("service-account-private-key-file", h.pki("service-account.key")),
		flag("cluster-signing-cert-file", h.pki("ca.crt")),
		flag("cluster-signing-key-file", h.pki("ca.key")),
		flag("service-cluster-ip-range", h.Net.ServiceNet()),
		flag("allocate-node-cidrs", false), // each node's CNI configuration has its range
		flag("profiling", false),
	)
}

// SchedulerSpec runs kube-scheduler, without an election either.
func (h Host) SchedulerSpec() process.Spec {
	kubeconfig := h.kubeconfig(Scheduler)
	return h.kube(Scheduler, 1, "kube-scheduler",
		flag("kubeconfig", kubeconfig),
		flag("authentication-kubeconfig", kubeconfig),
		flag("authorization-kubeconfig", kubeconfig),
		flag("bind-address", "127.0.0.1"),
		flag("leader-elect", false),
		flag("profiling", false),
	)
}

// ProvisionerSpec runs the volume provisioner, for the volumes of all nodes:
// they share the machine's file system.
func (h Host) ProvisionerSpec() process.Spec {
	return h.kube(Provisioner, 1, "provisioner",
		flag("kubeconfig", h.kubeconfig(Provisioner)),
		flag("dir", h.VolumeDir()),
	)
}

// MetricsPort is where metrics-server answers, at the first node's address.
const MetricsPort = 4443

// MetricsServerSpec runs metrics-server. Its figures are as young as it can make them.
func (h Host) MetricsServerSpec() process.Spec {
	kubeconfig := h.kubeconfig(MetricsServer)
	return h.spec(MetricsServer, 1, "metrics-server",
		flag("kubeconfig", kubeconfig),
		flag("authentication-kubeconfig", kubeconfig),
		flag("authorization-kubeconfig", kubeconfig),
		flag("secure-port", MetricsPort),
		flag("tls-cert-file", h.pki("metrics-server.crt")),
		flag("tls-private-key-file", h.pki("metrics-server.key")),
		flag("kubelet-certificate-authority", h.pki("ca.crt")),
		flag("kubelet-preferred-address-types", "InternalIP"),
		flag("metric-resolution", "10s"),
		flag("kubelet-request-timeout", "5s"),
	)
}

// CertificateHosts are the names and addresses of the API server.
func (h Host) CertificateHosts() []string {
	hosts := []string{"localhost", "127.0.0.1", h.Net.Node(1).String(), h.Net.APIService().String()}
	name := "kubernetes"
	hosts = append(hosts, name)
	for _, part := range []string{"default", "svc", ClusterDomain} {
		name = strings.Join([]string{name, part}, ".")
		hosts = append(hosts, name)
	}
	return hosts
}

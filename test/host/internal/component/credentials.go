// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package component

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"garret.dev/garret/test/host/internal/pki"
)

// frontProxyClient is the name by which aggregated API servers know the
// host's kube-apiserver.
const frontProxyClient = "front-proxy-client"

// AdminKubeconfig is the path of the administrator's kubeconfig.
func (h Host) AdminKubeconfig() string { return filepath.Join(h.Dir, "kubeconfig") }

// identity is a user of the host's API, with the kubeconfig file it gets.
type identity struct {
	file   string
	user   string
	groups []string
}

// WriteCredentials makes all certificates, keys and kubeconfigs of a cluster
// with so many nodes; those that exist stay.
func (h Host) WriteCredentials(nodes int) error {
	ca, err := pki.OpenAuthority(h.pki(""), "ca")
	if err != nil {
		return err
	}
	front, err := pki.OpenAuthority(h.pki(""), "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, _, err := pki.OpenKeyPair(h.pki(""), "service-account"); err != nil {
		return err
	}
	if _, err := front.Issue("front-proxy-client", pki.Leaf{CommonName: frontProxyClient}); err != nil {
		return err
	}
	if _, err := ca.Issue("apiserver", pki.Leaf{CommonName: "kube-apiserver", Hosts: h.CertificateHosts()}); err != nil {
		return err
	}
	kubeletClient := pki.Leaf{CommonName: "kube-apiserver-kubelet-client", Organizations: []string{"garret:kubelet-api-admins"}}
	if _, err := ca.Issue("apiserver-kubelet-client", kubeletClient); err != nil {
		return err
	}
	metrics := pki.Leaf{CommonName: "metrics-server", Hosts: []string{"metrics-server.kube-system.svc"}}
	if _, err := ca.Issue("metrics-server", metrics); err != nil {
		return err
	}
	users := []identity{
		{h.AdminKubeconfig(), "kubernetes-admin", []string{"system:masters"}},
		{h.kubeconfig(ControllerManager), "system:kube-controller-manager", nil},
		{h.kubeconfig(Scheduler), "system:kube-scheduler", nil},
		{h.kubeconfig(KubeProxy), "system:kube-proxy", nil},
		{h.kubeconfig(Provisioner), "garret:provisioner", nil},
		{h.kubeconfig(MetricsServer), "garret:metrics-server", nil},
		{h.kubeconfig(NetworkPolicies), "garret:network-policies", nil},
	}
	for n := 1; n <= nodes; n++ {
		server := pki.Leaf{CommonName: "system:node:" + h.Node(n), Organizations: []string{"system:nodes"},
			Hosts: []string{h.Node(n), h.Net.Node(n).String(), "127.0.0.1"}}
		if _, err := ca.Issue(h.Of(Kubelet, n)+"-server", server); err != nil {
			return err
		}
		users = append(users, identity{h.kubeconfig(h.Of(Kubelet, n)), "system:node:" + h.Node(n), []string{"system:nodes"}})
	}
	for _, u := range users {
		if err := h.writeKubeconfig(ca, u); err != nil {
			return err
		}
	}
	return nil
}

// Authority is the certificate of the cluster's authority, in PEM.
func (h Host) Authority() ([]byte, error) { return os.ReadFile(h.pki("ca.crt")) }

// WriteUser makes a kubeconfig for any user and returns its path.
func (h Host) WriteUser(name string, groups ...string) (string, error) {
	if name == "" || name != filepath.Base(name) {
		return "", fmt.Errorf("user name %q cannot be a file name", name)
	}
	ca, err := pki.OpenAuthority(h.pki(""), "ca")
	if err != nil {
		return "", err
	}
	u := identity{filepath.Join(h.Dir, "users", name+".kubeconfig"), name, groups}
	return u.file, h.writeKubeconfig(ca, u)
}

func (h Host) writeKubeconfig(ca *pki.Authority, u identity) error {
	pair, err := ca.Issue("client-"+filepath.Base(u.file), pki.Leaf{CommonName: u.user, Organizations: u.groups})
	if err != nil {
		return err
	}
	var data [3][]byte
	for i, file := range []string{ca.CertFile(), pair.Cert, pair.Key} {
		if data[i], err = os.ReadFile(file); err != nil {
			return fmt.Errorf("kubeconfig of %s: %w", u.user, err)
		}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[h.Name] = &clientcmdapi.Cluster{Server: h.Net.APIServer(), CertificateAuthorityData: data[0]}
	config.AuthInfos[u.user] = &clientcmdapi.AuthInfo{ClientCertificateData: data[1], ClientKeyData: data[2]}
	config.Contexts[h.Name] = &clientcmdapi.Context{Cluster: h.Name, AuthInfo: u.user}
	config.CurrentContext = h.Name
	if err := os.MkdirAll(filepath.Dir(u.file), 0o700); err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", u.user, err)
	}
	if err := clientcmd.WriteToFile(*config, u.file); err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", u.user, err)
	}
	return nil
}

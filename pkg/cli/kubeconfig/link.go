// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeconfig keeps, in the user's own kubeconfig, the contexts that lead
// into virtual clusters.
//
// Such a context names a cluster entry whose server is the relay's URL on the host, or the
// gateway's, and the same user entry as its host context. So the package copies no credential:
// when the host's credential changes or ends, access to the virtual cluster does, too. An
// extension of the context records where it leads and from which host context it came; nothing
// parses names.
//
// The package changes files under kubectl's own lock and replaces them as a whole, so that
// neither a reader nor a crash ever meets half of one.
package kubeconfig

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// extensionName is the key of a context's extension that holds its Link.
const extensionName = "garret.dev/virtual-cluster"

// Link says where a context leads: to a virtual cluster by way of a host.
type Link struct {
	// HostContext is the name of the context of the host cluster.
	HostContext string `json:"hostContext"`
	// Namespace and Name are those of the VirtualCluster on the host.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`

	// Gateway, where it is set, leads into it instead of the host's API server.
	Gateway *Gateway `json:"-"`
}

// Gateway is the address of garret-apiserver itself.
type Gateway struct {
	// URL is its own, without the path of a virtual cluster.
	URL string
	// CertificateAuthority verifies it, PEM encoded. Empty: what the machine trusts.
	CertificateAuthority []byte
}

// ContextName is the name of the context, and of its cluster entry.
func (l Link) ContextName() string {
	return strings.Join([]string{"garret", l.Name, l.Namespace, l.HostContext}, "_")
}

// LinkOf reads where a context leads; false for one that Garret did not make.
func LinkOf(context *clientcmdapi.Context) (Link, bool) {
	var link Link
	if context == nil {
		return link, false
	}
	unknown, ok := context.Extensions[extensionName].(*runtime.Unknown)
	if !ok || json.Unmarshal(unknown.Raw, &link) != nil {
		return Link{}, false
	}
	return link, link.HostContext != "" && link.Namespace != "" && link.Name != ""
}

// Server is the URL of the virtual cluster by way of a host with this URL.
func (l Link) Server(host string) (string, error) {
	if l.Gateway != nil {
		return l.Gateway.server(l)
	}
	parsed, err := url.Parse(host)
	if err != nil || parsed.Host == "" {
		return "", fmt.Errorf("server %q of the host cluster is not a URL", host)
	}
	// The host may itself be reached below a path, as behind a gateway.
	return parsed.JoinPath("apis", tenancyv1.GroupName, "v1", "namespaces", l.Namespace, "virtualclusters", l.Name, "proxy").String(), nil
}

func (g *Gateway) server(l Link) (string, error) {
	parsed, err := url.Parse(g.URL)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", fmt.Errorf("gateway %q is not a URL of the form https://HOST:PORT", g.URL)
	}
	return parsed.JoinPath(tenancyv1.GatewayPath(l.Name, l.Namespace)).String(), nil
}

// entries derives the cluster and the context that lead to the virtual cluster
// from those of the host.
func (l Link) entries(hostContext *clientcmdapi.Context, hostCluster *clientcmdapi.Cluster) (*clientcmdapi.Cluster, *clientcmdapi.Context, error) {
	// The whole entry is kept: certificate authority, proxy, and the extension
	// that credential plugins are handed.
	cluster := hostCluster.DeepCopy()
	cluster.LocationOfOrigin = ""
	server, err := l.Server(hostCluster.Server)
	if err != nil {
		return nil, nil, err
	}
	cluster.Server = server
	if l.Gateway != nil {
		// How the host is verified says nothing about another server, least of all
		// that it need not be.
		cluster.CertificateAuthority, cluster.CertificateAuthorityData = "", l.Gateway.CertificateAuthority
		cluster.InsecureSkipTLSVerify, cluster.TLSServerName = false, ""
	}

	raw, err := json.Marshal(l)
	if err != nil {
		return nil, nil, err
	}
	context := clientcmdapi.NewContext()
	context.Cluster = l.ContextName()
	context.AuthInfo = hostContext.AuthInfo
	context.Extensions[extensionName] = &runtime.Unknown{Raw: raw, ContentType: runtime.ContentTypeJSON}
	return cluster, context, nil
}

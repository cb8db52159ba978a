// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/admission"
	genericapiserver "k8s.io/apiserver/pkg/server"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/gateway"
	"garret.dev/garret/pkg/registry/virtualcluster"
)

// GatewayOptions are about garret-apiserver's own address as a way into virtual clusters.
type GatewayOptions struct {
	// Enabled opens the gateway.
	Enabled bool
	// Hostnames are names and IP addresses by which garret-apiserver is reached
	// from outside the host cluster, for its serving certificate.
	Hostnames []string
}

func (o *GatewayOptions) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.Enabled, "gateway", o.Enabled,
		"Lets everybody who may get a VirtualCluster enter it by "+v1.GatewayPath("NAME", "NAMESPACE")+" on this server's own address.")
	flags.StringArrayVar(&o.Hostnames, "gateway-hostname", o.Hostnames,
		"DNS name (also *.NAME) or IP address by which clients outside reach this server. It goes into the serving certificate that the server creates, and has no effect with --tls-cert-file. Repeatable.")
}

func (o *GatewayOptions) validate() []error {
	var errs []error
	for _, name := range o.Hostnames {
		if net.ParseIP(name) != nil {
			continue
		}
		check := validation.IsDNS1123Subdomain
		if strings.HasPrefix(name, "*.") {
			check = validation.IsWildcardDNS1123Subdomain
		}
		if problems := check(name); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("--gateway-hostname: %q is neither a DNS name nor an IP address: %s", name, problems[0]))
		}
	}
	return errs
}

// names are the hostnames as a certificate has them.
func (o *GatewayOptions) names() (dns []string, ips []net.IP) {
	for _, name := range o.Hostnames {
		if ip := net.ParseIP(name); ip != nil {
			ips = append(ips, ip)
			continue
		}
		dns = append(dns, name)
	}
	return dns, ips
}

// openGateway puts the gateway behind the handler chain, which config has
// prepared by gatewayChain. Switched off it is there as well, and says so.
func (c *Config) openGateway(generic *genericapiserver.GenericAPIServer, clusters *virtualcluster.Storage) {
	generic.Handler.NonGoRestfulMux.UnlistedHandlePrefix(v1.GatewayPrefix, &gateway.Gateway{
		Enabled:    c.options.Gateway.Enabled,
		Proxy:      clusters.Proxy,
		Admission:  c.generic.AdmissionControl,
		Interfaces: admission.NewObjectInterfacesFromScheme(c.scheme),
		Serializer: c.codecs,
	})
}

// gatewayChain wraps build, which makes the handler chain.
func (c *Config) gatewayChain(build func(http.Handler, *genericapiserver.Config) http.Handler) func(http.Handler, *genericapiserver.Config) http.Handler {
	c.generic.RequestInfoResolver = gateway.Resolver(genericapiserver.NewRequestInfoResolver(&c.generic.Config))
	return func(handler http.Handler, config *genericapiserver.Config) http.Handler {
		return gateway.Mark(build(gateway.SameOrigin(handler, c.codecs), config))
	}
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/kubeconfig"
)

// published is the value of --gateway where none is given.
const published = "published"

// gatewayFlags say whether to enter through Garret's own address.
type gatewayFlags struct{ url, authorityFile string }

func (f *gatewayFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "gateway", "", "enter through Garret's own address: the `URL`, or, without one, what the host publishes")
	flags.Lookup("gateway").NoOptDefVal = published
	flags.StringVar(&f.authorityFile, "gateway-certificate-authority", "", "PEM `file` to verify the gateway with; what the host publishes otherwise, or what this machine trusts")
}

// joined tells who wrote a space before the URL what it takes instead.
func (f *gatewayFlags) joined(_ *cobra.Command, args []string) error {
	for _, arg := range args {
		if f.url == published && strings.Contains(arg, "://") {
			return host.Misuse(fmt.Errorf("--gateway and its URL are one word"), "write --gateway=%s", arg)
		}
	}
	return nil
}

// find returns the gateway to go through; nil for the host's API server.
func (f *gatewayFlags) find(ctx context.Context, cluster *host.Cluster) (*kubeconfig.Gateway, error) {
	if f.url == "" {
		if f.authorityFile != "" {
			return nil, host.Misuse(fmt.Errorf("--gateway-certificate-authority is of no use without --gateway"), "add --gateway, or --gateway=https://HOST:PORT")
		}
		return nil, nil
	}
	known, err := cluster.Gateway(ctx)
	if err != nil {
		return nil, err
	}
	gateway := &kubeconfig.Gateway{}
	if known != nil {
		*gateway = *known
	}
	if f.url != published {
		gateway.URL = f.url
	}
	if gateway.URL == "" {
		return nil, host.Advise(fmt.Errorf("the host publishes no address of a gateway"),
			"name it with --gateway=https://HOST:PORT, or leave --gateway out to enter through the host's API server")
	}
	if f.authorityFile == "" {
		return gateway, nil
	}
	if gateway.CertificateAuthority, err = os.ReadFile(f.authorityFile); err != nil {
		return nil, fmt.Errorf("--gateway-certificate-authority: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(gateway.CertificateAuthority) {
		return nil, fmt.Errorf("--gateway-certificate-authority: %s holds no certificate in PEM", f.authorityFile)
	}
	return gateway, nil
}

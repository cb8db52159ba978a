// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/transport"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const probeTimeout = 3 * time.Second

// Prober asks the API inside a virtual cluster whether it is there.
type Prober interface {
	// Probe returns nil when a server at clusterIP that authority vouches for
	// answered as the API of that virtual cluster.
	Probe(ctx context.Context, vc *tenancyv1.VirtualCluster, clusterIP string, authority []byte) error
}

// TLSProber is a Prober over the network, from where the controller runs. It has
// no credential: an API server that says so to it is there.
type TLSProber struct {
	// Dial replaces the dialer, where service addresses cannot be reached directly.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Wrap, when set, is put around the transport, for tracing.
	Wrap transport.WrapperFunc
}

// Probe implements Prober.
func (p TLSProber) Probe(ctx context.Context, vc *tenancyv1.VirtualCluster, clusterIP string, authority []byte) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return errors.New("the syncer has not reported the certificate authority yet")
	}
	var through http.RoundTripper = &http.Transport{
		DialContext:       p.Dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: tenancyv1.ServerName(vc.Name, vc.Namespace), MinVersion: tls.VersionTLS12},
	}
	if p.Wrap != nil {
		through = p.Wrap(through)
	}
	client := &http.Client{
		Transport: through, Timeout: probeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint(clusterIP)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("address %s: %w", clusterIP, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10))
	switch response.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusForbidden:
		return nil
	default:
		return fmt.Errorf("the API server answers %s", response.Status)
	}
}

// endpoint is the address of the API inside.
func endpoint(clusterIP string) string {
	return "https://" + net.JoinHostPort(clusterIP, strconv.Itoa(tenancyv1.PortHTTPS))
}

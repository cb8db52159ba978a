// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// maxProbe bounds what is read of an answer to a probe, which is "ok".
const maxProbe = 4 << 10

// Probe asks the API server inside, as the relay itself, whether it is ready: nil says that
// it is. Everybody who is authenticated may ask that, and the probe carries no identity of a user.
func (r *Relay) Probe(ctx context.Context, cluster *tenancy.VirtualCluster) error {
	connection, err := r.connections.get(ctx, cluster)
	if err != nil {
		return err
	}
	target := &url.URL{Scheme: "https", Host: v1.ServerName(cluster.Name, cluster.Namespace), Path: "/readyz"}
	response, err := connection.transport.RoundTrip((&http.Request{Method: http.MethodGet, URL: target, Host: target.Host, Header: http.Header{}}).WithContext(ctx))
	if err != nil {
		// One that was open before the sleep leads nowhere.
		connection.transport.CloseIdleConnections()
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxProbe))
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		r.connections.reject(connection)
	}
	return fmt.Errorf("its API server answers %s", response.Status)
}

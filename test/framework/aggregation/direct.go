// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package aggregation

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// Direct reaches a garret-apiserver at its own address as the host's
// administrator, whose certificate both servers know. It is verified by the
// authority that garret-apiserver published on the host.
func Direct(ctx context.Context, host *framework.ControlPlane, address string) (*rest.Config, error) {
	published, err := host.Client.CoreV1().ConfigMaps(v1.SystemNamespace).Get(ctx, v1.CAConfigMap, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(host.Config)
	config.Host = "https://" + address
	config.CAData, config.CAFile = []byte(published.Data[v1.CAConfigMapKey]), ""
	return config, nil
}

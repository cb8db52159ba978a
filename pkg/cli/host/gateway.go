// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/kubeconfig"
)

// Gateway is what the host publishes about Garret's own address. It is nil
// where nothing is published that the user may read; the URL is empty where the
// installation does not know it.
func (c *Cluster) Gateway(ctx context.Context) (*kubeconfig.Gateway, error) {
	data, err := c.published(ctx, tenancyv1.GatewayConfigMap)
	if data == nil || err != nil {
		return nil, err
	}
	gateway := &kubeconfig.Gateway{URL: data[tenancyv1.GatewayURLKey], CertificateAuthority: []byte(data[tenancyv1.CAConfigMapKey])}
	reference := data[tenancyv1.GatewayCAKey]
	if reference == "" {
		return gateway, nil
	}
	data, err = c.published(ctx, reference)
	if err != nil {
		return nil, err
	}
	if gateway.CertificateAuthority = []byte(data[tenancyv1.CAConfigMapKey]); len(gateway.CertificateAuthority) == 0 {
		return nil, Advise(fmt.Errorf("the certificate authority of the gateway is not published: configmap %s/%s", tenancyv1.SystemNamespace, reference),
			"give it with --gateway-certificate-authority, or see why garret-apiserver does not run")
	}
	return gateway, nil
}

// published is a ConfigMap of Garret's; nil where there is none for this user.
func (c *Cluster) published(ctx context.Context, name string) (map[string]string, error) {
	client, err := c.Kubernetes()
	if err != nil {
		return nil, fmt.Errorf("client of the host cluster: %w", err)
	}
	configMap, err := client.CoreV1().ConfigMaps(tenancyv1.SystemNamespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, c.Explain(err)
	}
	return configMap.Data, nil
}

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/kubernetes"
)

// Where a host publishes how its callers are recognised.
const (
	callersConfigMap = "extension-apiserver-authentication"
	callersClientCA  = "client-ca-file"
)

// lookUpClients has the authority of the host's client certificates followed,
// as the library would by itself, but in a way that tells when it is loaded. A
// host without client certificates publishes none.
func (c *Config) lookUpClients(ctx context.Context, host kubernetes.Interface) error {
	authentication := c.options.Recommended.Authentication
	if authentication.SkipInClusterLookup || authentication.ClientCert != (genericoptions.ClientCertAuthenticationOptions{}) {
		return nil
	}
	published, err := host.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, callersConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && published.Data[callersClientCA] == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configmap %s/%s: %w", metav1.NamespaceSystem, callersConfigMap, err)
	}
	provider, err := dynamiccertificates.NewDynamicCAFromConfigMapController(
		"client-ca", metav1.NamespaceSystem, callersConfigMap, callersClientCA, host)
	if err != nil {
		return fmt.Errorf("authority of the host's clients: %w", err)
	}
	authentication.ClientCert.CAContentProvider = provider
	return nil
}

// knowsCallers fails until the authorities of the host's clients and of its
// front proxy are loaded. Before that everybody would be anonymous, and read
// that something is forbidden to them that is not.
func (c *Config) knowsCallers(*http.Request) error {
	var providers []dynamiccertificates.CAContentProvider
	if clients := c.options.Recommended.Authentication.ClientCert.CAContentProvider; clients != nil {
		providers = append(providers, clients)
	}
	if front := c.generic.Authentication.RequestHeaderConfig; front != nil && front.CAContentProvider != nil {
		providers = append(providers, front.CAContentProvider)
	}
	for _, provider := range providers {
		if _, ok := provider.VerifyOptions(); !ok {
			return fmt.Errorf("%s is not loaded yet", provider.Name())
		}
	}
	return nil
}

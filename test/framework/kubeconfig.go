// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig is one with this server and these credentials.
func Kubeconfig(server string, authority []byte, user clientcmdapi.AuthInfo) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos["u"] = &user
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "c"
	return clientcmd.Write(*config)
}

// WriteServiceAccount writes a kubeconfig with a token of a ServiceAccount.
func (c *ControlPlane) WriteServiceAccount(ctx context.Context, file, namespace, name string) error {
	token, err := c.Client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	content, err := Kubeconfig(c.Config.Host, c.Config.CAData, clientcmdapi.AuthInfo{Token: token.Status.Token})
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

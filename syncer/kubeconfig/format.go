// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// Keys, labels and types by which tools find a kubeconfig.
const (
	keyKubeconfig = "kubeconfig"
	// keyValue is what Flux and Cluster API read.
	keyValue = "value"
	// keyName, keyServer and keyConfig are Argo CD's.
	keyName, keyServer, keyConfig = "name", "server", "config"

	labelArgoCD     = "argocd.argoproj.io/secret-type"
	argoCDCluster   = "cluster"
	labelClusterAPI = "cluster.x-k8s.io/cluster-name"
	typeClusterAPI  = corev1.SecretType("cluster.x-k8s.io/secret")
)

// argoCDConfig is what Argo CD reads of the key config.
type argoCDConfig struct {
	TLSClientConfig argoCDTLS `json:"tlsClientConfig"`
}

// argoCDTLS holds PEM, which JSON has in base64.
type argoCDTLS struct {
	Insecure bool   `json:"insecure"`
	CAData   []byte `json:"caData"`
	CertData []byte `json:"certData"`
	KeyData  []byte `json:"keyData"`
}

// secretFor is the Secret that the spec asks for, with this credential.
func secretFor(cluster translate.Cluster, spec *tenancyv1.KubeconfigSecret, authority []byte, held *credential) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: spec.Name, Namespace: cluster.HostNamespace,
			Labels: map[string]string{tenancyv1.LabelCluster: cluster.ID, tenancyv1.LabelKubeconfigOf: cluster.ID},
		},
		Type: corev1.SecretTypeOpaque,
	}
	server := "https://" + tenancyv1.ServerName(cluster.Name, cluster.HostNamespace)
	if spec.Format == tenancyv1.KubeconfigFormatArgoCD {
		config, err := json.Marshal(argoCDConfig{argoCDTLS{CAData: authority, CertData: held.certificate, KeyData: held.key}})
		if err != nil {
			return nil, fmt.Errorf("configuration for Argo CD: %w", err)
		}
		secret.Labels[labelArgoCD] = argoCDCluster
		secret.Data = map[string][]byte{keyName: []byte(cluster.Name), keyServer: []byte(server), keyConfig: config}
		return secret, nil
	}
	kubeconfig, err := encode(cluster.Name, server, authority, held)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	key := keyValue
	switch spec.Format {
	case tenancyv1.KubeconfigFormatFlux:
	case tenancyv1.KubeconfigFormatClusterAPI:
		secret.Type = typeClusterAPI
		secret.Labels[labelClusterAPI] = strings.TrimSuffix(spec.Name, tenancyv1.ClusterAPISuffix)
	default:
		key = keyKubeconfig
	}
	secret.Data = map[string][]byte{key: kubeconfig}
	return secret, nil
}

// encode writes a kubeconfig with one context, named after the virtual cluster.
func encode(name, server string, authority []byte, held *credential) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: held.certificate, ClientKeyData: held.key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}

// held are the certificate and the key in a Secret, whatever its format.
func held(secret *corev1.Secret) (certificate, key []byte) {
	if text := secret.Data[keyConfig]; len(text) > 0 {
		var config argoCDConfig
		if json.Unmarshal(text, &config) != nil {
			return nil, nil
		}
		return config.TLSClientConfig.CertData, config.TLSClientConfig.KeyData
	}
	for _, at := range []string{keyKubeconfig, keyValue} {
		config, err := clientcmd.Load(secret.Data[at])
		if err != nil || len(config.AuthInfos) != 1 {
			continue
		}
		for holder := range maps.Values(config.AuthInfos) {
			return holder.ClientCertificateData, holder.ClientKeyData
		}
	}
	return nil, nil
}

// isOwn says whether the syncer of the virtual cluster wrote the Secret as a kubeconfig.
func isOwn(secret *corev1.Secret, cluster translate.Cluster) bool {
	return secret.Labels[tenancyv1.LabelCluster] == cluster.ID && secret.Labels[tenancyv1.LabelKubeconfigOf] == cluster.ID &&
		secret.Annotations[tenancyv1.AnnotationVirtualName] == ""
}

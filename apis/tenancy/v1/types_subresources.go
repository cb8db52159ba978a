// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeconfigRequest asks for a credential that works without the host cluster.
// It is created at the subresource kubeconfig of a virtual cluster.
type KubeconfigRequest struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata; a uid must be that of the virtual cluster.
	// +optional
	// +k8s:opaqueType
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what is asked for.
	// +optional
	Spec KubeconfigRequestSpec `json:"spec,omitempty"`
	// status is what was issued.
	// +optional
	Status KubeconfigRequestStatus `json:"status,omitempty"`
}

// KubeconfigRequestSpec is what is asked for.
type KubeconfigRequestSpec struct {
	// expirationSeconds is the life of the credential in seconds, from 600 to
	// 86400. Defaults to 3600. A longer one is shortened, with a warning.
	// +optional
	ExpirationSeconds *int64 `json:"expirationSeconds,omitempty"`
	// clusterRole is the name of a ClusterRole inside that the credential is held
	// to. Without it the credential has the rights of cluster-admin.
	// +optional
	ClusterRole string `json:"clusterRole,omitempty"`
	// server is the address that the kubeconfig names, as https://host:port.
	// Defaults to the endpoint in the virtual cluster's status.
	// +optional
	Server string `json:"server,omitempty"`
}

// KubeconfigRequestStatus is what was issued.
type KubeconfigRequestStatus struct {
	// kubeconfig is a whole client configuration, key included. It is given
	// out once and stored nowhere.
	// +optional
	Kubeconfig []byte `json:"kubeconfig,omitempty"`
	// credentialID identifies the credential. It is no secret: it stands in audit
	// logs, and the ClusterRoleBinding garret:kubeconfig:ID inside gives the
	// credential its rights. Deleting that binding takes them back at once.
	// +optional
	CredentialID string `json:"credentialID,omitempty"`
	// expirationTimestamp is when the credential ends.
	// +optional
	// +k8s:opaqueType
	ExpirationTimestamp *metav1.Time `json:"expirationTimestamp,omitempty"`
}

// +k8s:conversion-gen:explicit-from=net/url.Values
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterProxyOptions are the options of the subresource proxy.
type VirtualClusterProxyOptions struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// path is the path of the request to the API server inside.
	// +optional
	Path string `json:"path,omitempty"`
}

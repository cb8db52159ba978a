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
	// metadata is the standard object metadata; a uid must match the virtual cluster.
	// +optional
	// +k8s:opaqueType
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the caller asks for.
	// +optional
	Spec KubeconfigRequestSpec `json:"spec,omitempty"`
	// status is what Garret issued.
	// +optional
	Status KubeconfigRequestStatus `json:"status,omitempty"`
}

// KubeconfigRequestSpec is what the caller asks for.
type KubeconfigRequestSpec struct {
	// expirationSeconds is how long the credential is valid, in seconds, from 600 to 86400.
	// Defaults to 3600. Garret shortens a longer time, with a warning.
	// +optional
	ExpirationSeconds *int64 `json:"expirationSeconds,omitempty"`
	// clusterRole is the name of a ClusterRole inside. It limits the credential to its rights.
	// Without it, the credential has the rights of cluster-admin.
	// +optional
	ClusterRole string `json:"clusterRole,omitempty"`
	// server is the address in the kubeconfig, as https://host:port. Defaults to the endpoint
	// in the virtual cluster's status.
	// +optional
	Server string `json:"server,omitempty"`
}

// KubeconfigRequestStatus is what Garret issued.
type KubeconfigRequestStatus struct {
	// kubeconfig is a complete client configuration, including the key. Garret returns it once
	// and stores it nowhere.
	// +optional
	Kubeconfig []byte `json:"kubeconfig,omitempty"`
	// credentialID identifies the credential. It is not secret: audit logs contain it. The
	// ClusterRoleBinding garret:kubeconfig:ID inside gives the credential its rights, and
	// deleting that binding revokes them at once.
	// +optional
	CredentialID string `json:"credentialID,omitempty"`
	// expirationTimestamp is when the credential expires.
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

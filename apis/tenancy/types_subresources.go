// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeconfigRequest asks for a credential that works without the host cluster.
// It is created at the subresource kubeconfig of a virtual cluster.
type KubeconfigRequest struct {
	metav1.TypeMeta
	// metadata is the standard object metadata; a uid must match the virtual cluster.
	metav1.ObjectMeta
	// spec is what the caller asks for.
	Spec KubeconfigRequestSpec
	// status is what Garret issued.
	Status KubeconfigRequestStatus
}

// KubeconfigRequestSpec is what the caller asks for.
type KubeconfigRequestSpec struct {
	// expirationSeconds is how long the credential is valid, in seconds, from 600 to 86400.
	// Defaults to 3600. Garret shortens a longer time, with a warning.
	ExpirationSeconds *int64
	// clusterRole is the name of a ClusterRole inside. It limits the credential to its rights.
	// Without it, the credential has the rights of cluster-admin.
	ClusterRole string
	// server is the address in the kubeconfig, as https://host:port. Defaults to the endpoint
	// in the virtual cluster's status.
	Server string
}

// KubeconfigRequestStatus is what Garret issued.
type KubeconfigRequestStatus struct {
	// kubeconfig is a complete client configuration, including the key. Garret returns it once
	// and stores it nowhere.
	Kubeconfig []byte
	// credentialID identifies the credential. It is not secret: audit logs contain it. The
	// ClusterRoleBinding garret:kubeconfig:ID inside gives the credential its rights, and
	// deleting that binding revokes them at once.
	CredentialID string
	// expirationTimestamp is when the credential expires.
	ExpirationTimestamp *metav1.Time
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterProxyOptions are the options of the subresource proxy.
type VirtualClusterProxyOptions struct {
	metav1.TypeMeta
	// path is the path of the request to the API server inside.
	Path string
}

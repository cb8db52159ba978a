// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// KubeconfigRequest asks for a credential that works without the host cluster.
// It is created at the subresource kubeconfig of a virtual cluster.
type KubeconfigRequest struct {
	metav1.TypeMeta
	// metadata is the standard object metadata; a uid must be that of the virtual cluster.
	metav1.ObjectMeta
	// spec is what is asked for.
	Spec KubeconfigRequestSpec
	// status is what was issued.
	Status KubeconfigRequestStatus
}

// KubeconfigRequestSpec is what is asked for.
type KubeconfigRequestSpec struct {
	// expirationSeconds is the life of the credential in seconds, from 600 to
	// 86400. Defaults to 3600. A longer one is shortened, with a warning.
	ExpirationSeconds *int64
	// clusterRole is the name of a ClusterRole inside that the credential is held
	// to. Without it the credential has the rights of cluster-admin.
	ClusterRole string
	// server is the address that the kubeconfig names, as https://host:port.
	// Defaults to the endpoint in the virtual cluster's status.
	Server string
}

// KubeconfigRequestStatus is what was issued.
type KubeconfigRequestStatus struct {
	// kubeconfig is a whole client configuration, key included. It is given
	// out once and stored nowhere.
	Kubeconfig []byte
	// credentialID identifies the credential. It is no secret: it stands in audit
	// logs, and the ClusterRoleBinding garret:kubeconfig:ID inside gives the
	// credential its rights. Deleting that binding takes them back at once.
	CredentialID string
	// expirationTimestamp is when the credential ends.
	ExpirationTimestamp *metav1.Time
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterProxyOptions are the options of the subresource proxy.
type VirtualClusterProxyOptions struct {
	metav1.TypeMeta
	// path is the path of the request to the API server inside.
	Path string
}

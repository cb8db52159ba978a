// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

const (
	// DefaultKubernetesVersion is what a virtual cluster gets that names none.
	DefaultKubernetesVersion = "v1.37.2"
	// DefaultStorageSize is the size of a control plane's volume.
	DefaultStorageSize = "5Gi"
	// DefaultKubeconfigExpirationSeconds is the life of a credential for which none was asked.
	DefaultKubeconfigExpirationSeconds = 3600
)

func addDefaultingFuncs(scheme *runtime.Scheme) error {
	return RegisterDefaults(scheme)
}

// DefaultSpec fills in what neither the author of a virtual cluster nor a
// template has set. It is no defaulting function of the scheme: those run when
// a request is decoded, and after them nobody could tell what was set.
func DefaultSpec(spec *VirtualClusterSpec) {
	if spec.Kubernetes.Distro == "" {
		spec.Kubernetes.Distro = DistroK3s
	}
	if spec.Kubernetes.Version == "" {
		spec.Kubernetes.Version = DefaultKubernetesVersion
	}
	storage := &spec.ControlPlane.Storage
	if storage.Persistent == nil {
		persistent := true
		storage.Persistent = &persistent
	}
	if storage.Size == nil && *storage.Persistent {
		size := resource.MustParse(DefaultStorageSize)
		storage.Size = &size
	}
	if storage.WhenDeleted == "" {
		storage.WhenDeleted = RetentionDelete
	}
	if secret := spec.KubeconfigSecret; secret != nil && secret.Format == "" {
		secret.Format = KubeconfigFormatKubeconfig
	}
	isolation := &spec.Isolation
	if isolation.PodSecurity == "" {
		isolation.PodSecurity = PodSecurityBaseline
	}
	network := &isolation.NetworkPolicy
	if network.Enabled == nil {
		network.Enabled = ptr.To(true)
	}
	if network.PublicEgress == nil {
		network.PublicEgress = ptr.To(true)
	}
}

// SetDefaults_HostClusterReference names the host cluster that Garret itself runs on.
func SetDefaults_HostClusterReference(ref *HostClusterReference) {
	if ref.Name == "" {
		ref.Name = LocalHostCluster
	}
}

// SetDefaults_TemplateParameter makes a parameter without a type a string.
func SetDefaults_TemplateParameter(parameter *TemplateParameter) {
	if parameter.Type == "" {
		parameter.Type = ParameterString
	}
}

// SetDefaults_KubeconfigRequestSpec fills in the life of the credential.
func SetDefaults_KubeconfigRequestSpec(spec *KubeconfigRequestSpec) {
	if spec.ExpirationSeconds == nil {
		seconds := int64(DefaultKubeconfigExpirationSeconds)
		spec.ExpirationSeconds = &seconds
	}
}

// SetDefaults_VirtualClusterStatus makes a new virtual cluster say where it stands.
func SetDefaults_VirtualClusterStatus(status *VirtualClusterStatus) {
	if status.Phase == "" {
		status.Phase = PhasePending
	}
}

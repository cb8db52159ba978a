// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
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

// SetDefaults_KubernetesSpec fills in the distribution and the version.
func SetDefaults_KubernetesSpec(spec *KubernetesSpec) {
	if spec.Distro == "" {
		spec.Distro = DistroK3s
	}
	if spec.Version == "" {
		spec.Version = DefaultKubernetesVersion
	}
}

// SetDefaults_StorageSpec fills in where the data is kept.
func SetDefaults_StorageSpec(spec *StorageSpec) {
	if spec.Persistent == nil {
		persistent := true
		spec.Persistent = &persistent
	}
	if spec.Size == nil && *spec.Persistent {
		size := resource.MustParse(DefaultStorageSize)
		spec.Size = &size
	}
	if spec.WhenDeleted == "" {
		spec.WhenDeleted = RetentionDelete
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

// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func semanticVersion(version string) bool {
	_, err := semver.StrictNewVersion(version)
	return err == nil
}

// Values are the chart's values that garret-controller sets. The fields stand as
// in values.yaml.
type Values struct {
	Cluster          Cluster                       `json:"cluster"`
	Kubernetes       Kubernetes                    `json:"kubernetes"`
	ControlPlane     ControlPlane                  `json:"controlPlane"`
	Syncer           Syncer                        `json:"syncer"`
	RBAC             RBAC                          `json:"rbac"`
	Isolation        Isolation                     `json:"isolation"`
	Activity         Activity                      `json:"activity"`
	DNS              DNS                           `json:"dns"`
	ImagePullPolicy  corev1.PullPolicy             `json:"imagePullPolicy,omitempty"`
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	Host             Host                          `json:"host"`
	Service          Service                       `json:"service"`
}

// Cluster is a virtual cluster's identity.
type Cluster struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	UID  string `json:"uid"`
}

// Kubernetes is what runs inside.
type Kubernetes struct {
	Distro    string   `json:"distro"`
	Version   string   `json:"version"`
	ExtraArgs []string `json:"extraArgs,omitempty"`
}

// ControlPlane is how the control plane runs on the host.
type ControlPlane struct {
	Image     string                      `json:"image"`
	Resources corev1.ResourceRequirements `json:"resources"`
	Storage   Storage                     `json:"storage"`
	Datastore Datastore                   `json:"datastore"`
	// Stopped has no pod of it run.
	Stopped bool `json:"stopped,omitempty"`
}

// Storage is the control plane's volume. A nil class is the host's default.
type Storage struct {
	Persistent       bool    `json:"persistent"`
	Size             string  `json:"size"`
	StorageClassName *string `json:"storageClassName,omitempty"`
	// DatabaseBytes bounds the embedded database.
	DatabaseBytes string `json:"databaseBytes,omitempty"`
}

// DatabaseShare is what the embedded database may have of a volume, in bytes. It may
// need as much again for its log, when it is made compact.
func DatabaseShare(volume resource.Quantity) int64 { return volume.Value() / 5 * 2 }

// Datastore is an external datastore; an empty name is the embedded one.
type Datastore struct {
	SecretName string   `json:"secretName"`
	SecretKeys []string `json:"secretKeys,omitempty"`
}

// Syncer is the container beside the control plane.
type Syncer struct {
	Image     string   `json:"image"`
	ExtraArgs []string `json:"extraArgs,omitempty"`
	// Resources are set by Merge.
	Resources corev1.ResourceRequirements `json:"resources"`
}

// Activity is whether requests straight to the API server inside are noted.
type Activity struct {
	Enabled bool `json:"enabled,omitempty"`
}

// DNS is who answers names inside.
type DNS struct {
	Embedded bool `json:"embedded,omitempty"`
}

// RBAC is what the syncer may do on the host for the kinds that are synced.
type RBAC struct {
	Rules []rbacv1.PolicyRule `json:"rules,omitempty"`
}

// Isolation is what the virtual cluster may reach, and what its pods may name.
type Isolation struct {
	InlineVolumeDrivers []string `json:"inlineVolumeDrivers,omitempty"`
	DeviceConfigDrivers []string `json:"deviceConfigDrivers,omitempty"`
	EndpointRanges      []string `json:"endpointRanges,omitempty"`
	ExternalIPRanges    []string `json:"externalIPRanges,omitempty"`
	AllowedAnnotations  []string `json:"allowedAnnotations,omitempty"`
	DeniedAnnotations   []string `json:"deniedAnnotations,omitempty"`
	AllowedLabels       []string `json:"allowedLabels,omitempty"`
	// PodRules hold for all pods, as PodRules.Argument writes them.
	PodRules string `json:"podRules,omitempty"`
	// AllowedStorage is what volumes and classes of the tenant may be, as AllowedStorage.Argument
	// writes it.
	AllowedStorage string        `json:"allowedStorage,omitempty"`
	NetworkPolicy  NetworkPolicy `json:"networkPolicy"`
	// ResourceQuota and LimitRange are for the whole namespace; nil for none.
	ResourceQuota *corev1.ResourceQuotaSpec `json:"resourceQuota,omitempty"`
	LimitRange    *corev1.LimitRangeSpec    `json:"limitRange,omitempty"`
}

// NetworkPolicy is what pods may reach besides each other, DNS and their own API.
type NetworkPolicy struct {
	Enabled       bool     `json:"enabled"`
	PublicEgress  bool     `json:"publicEgress"`
	AllowedRanges []string `json:"allowedRanges,omitempty"`
	// Services are those of other namespaces that pods reach, too.
	Services []ServicePeer `json:"services,omitempty"`
	// Tenants says that the tenant's own policies are on the host, too.
	Tenants bool `json:"tenants,omitempty"`
}

// ServicePeer is the pods behind a Service, at its ports.
type ServicePeer struct {
	Namespace   string               `json:"namespace"`
	PodSelector metav1.LabelSelector `json:"podSelector"`
	Ports       []PeerPort           `json:"ports,omitempty"`
}

// PeerPort is a port of a pod, by number or by name.
type PeerPort struct {
	Protocol corev1.Protocol    `json:"protocol,omitempty"`
	Port     intstr.IntOrString `json:"port"`
}

// Host is what the virtual cluster must know of the host cluster.
type Host struct {
	ServiceCIDR   string `json:"serviceCIDR"`
	ClusterDomain string `json:"clusterDomain"`
	ClientCA      string `json:"clientCA"`
}

// Service is the virtual cluster's own Service on the host. Its address is empty
// only while that Service itself is rendered for the first time.
type Service struct {
	ClusterIP string `json:"clusterIP"`
}

// DatastoreKeys are the keys of a datastore's Secret that are used.
func DatastoreKeys() []string {
	return []string{"endpoint", "token", "ca.crt", "tls.crt", "tls.key"}
}

// Merge returns the values for the templates: the controller's, with the
// tenant's merged last. The tenant's are checked before; an error is theirs.
func Merge(values Values, tenant map[string]any) (map[string]any, error) {
	if err := ValidateTenantValues(tenant); err != nil {
		return nil, err
	}
	own, err := json.Marshal(tenant)
	if err != nil {
		return nil, fmt.Errorf("encode spec.helm.values of %s: %w", values.Cluster.Name, err)
	}
	if values.Syncer.Resources, err = TenantSyncerResources(own); err != nil {
		return nil, err
	}
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode chart values of %s: %w", values.Cluster.Name, err)
	}
	merged := map[string]any{}
	if err := json.Unmarshal(data, &merged); err != nil {
		return nil, fmt.Errorf("decode chart values of %s: %w", values.Cluster.Name, err)
	}
	return mergeMaps(merged, tenant), nil
}

// mergeMaps lays over upon base, map by map, and changes neither.
func mergeMaps(base, over map[string]any) map[string]any {
	merged := make(map[string]any, len(base)+len(over))
	for key, value := range base {
		merged[key] = value
	}
	for key, value := range over {
		below, isMap := merged[key].(map[string]any)
		above, overIsMap := value.(map[string]any)
		if isMap && overIsMap {
			merged[key] = mergeMaps(below, above)
			continue
		}
		merged[key] = value
	}
	return merged
}

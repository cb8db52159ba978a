// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Cluster identifies one virtual cluster and says where it stands on the host.
type Cluster struct {
	// ID is the cluster id, unique within the host cluster and never changed.
	ID string
	// Name and UID are those of the VirtualCluster object.
	Name string
	UID  types.UID
	// HostNamespace holds the VirtualCluster and every object synced for it.
	HostNamespace string
	// Domain is the DNS domain inside, such as cluster.local.
	Domain string
	// ServiceIP is the ClusterIP of the host Service of the virtual cluster,
	// which is the address of kubernetes.default inside.
	ServiceIP string
	// PodIP is the address of the pod that the syncer runs in.
	PodIP string
	// NamespaceUID is that of the host namespace.
	NamespaceUID types.UID
	// Incarnation is the UID of the namespace kube-system inside, which is another
	// one in every new set of data of the control plane.
	Incarnation types.UID
}

// ReleaseName is the name of everything that deploys the virtual cluster on the host.
func (c Cluster) ReleaseName() string { return tenancyv1.ReleaseName(c.Name) }

// WorkloadsAccount is the name of the ServiceAccount on the host that pods run as.
func (c Cluster) WorkloadsAccount() string { return tenancyv1.WorkloadsAccount(c.Name) }

// Translator translates for one virtual cluster. It is immutable and safe for
// concurrent use.
type Translator struct {
	cluster Cluster
}

// New returns a translator for the cluster.
func New(cluster Cluster) *Translator { return &Translator{cluster: cluster} }

// Cluster returns the identity that the translator was made for.
func (t *Translator) Cluster() Cluster { return t.cluster }

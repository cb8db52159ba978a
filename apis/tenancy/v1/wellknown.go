// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names that more than one process of Garret relies on.
const (
	// Finalizer keeps a VirtualCluster until its release is uninstalled.
	Finalizer = "tenancy.garret.dev/release"

	// FinalizerData keeps an object inside whose twin on the host holds data, until
	// that is deleted.
	FinalizerData = "garret.dev/host-data"

	// LabelVirtualCluster names the VirtualCluster on the objects of its own release.
	LabelVirtualCluster = "tenancy.garret.dev/virtual-cluster"
	// LabelCluster marks every object that a syncer made on the host; the value is the cluster id.
	LabelCluster = "garret.dev/cluster"
	// LabelVirtualNamespace is, on a synced host object, the namespace inside. It
	// serves selection only.
	LabelVirtualNamespace = "garret.dev/virtual-namespace"

	// LabelMapped marks an object inside that stands for one of the host or of another virtual
	// cluster. A Service with it has no twin on the host.
	LabelMapped = "garret.dev/mapped"

	// LabelEgress, on the host, takes a pod out of what the release lets all workloads reach:
	// the NetworkPolicies of the tenant say what it reaches, and without one it reaches nothing.
	LabelEgress = "garret.dev/egress"
	// EgressOfTenant is its one value.
	EgressOfTenant = "tenant"

	// LabelIssuedFor marks a Secret with a certificate that somebody on the host issued for
	// an ingress of the virtual cluster whose id is the value: on the host, where the syncer
	// asks for the label and makes no such Secret itself, and on its copy inside.
	LabelIssuedFor = "garret.dev/issued-for"

	// LabelKubeconfigOf marks the Secret of the host that holds a kubeconfig of the virtual
	// cluster whose id is the value. Nothing inside stands for it.
	LabelKubeconfigOf = "garret.dev/kubeconfig-of"

	// LabelActivatorOf marks an EndpointSlice of the host that leads connections to a Service of
	// the virtual cluster whose id is the value to garret-controller, which wakes it.
	LabelActivatorOf = "garret.dev/activator-of"

	// LabelOrphan marks a synced host object that holds data and has lost its object inside. That
	// is missing although nobody deleted it, or its kind is switched off, or the virtual cluster
	// was deleted and its data retained.
	LabelOrphan = "garret.dev/orphan"

	// RoleHostClasses names the ClusterRole that reads the host's classes, and the
	// ClusterRoleBinding that lends it to syncers.
	RoleHostClasses = "garret-host-classes"

	// RoleHostVolumes and RoleHostStorageClasses name the ClusterRoles that write
	// PersistentVolumes and StorageClasses of the host, and the ClusterRoleBindings that lend
	// them to the syncers of virtual clusters whose own go there.
	RoleHostVolumes        = "garret-host-volumes"
	RoleHostStorageClasses = "garret-host-storageclasses"
	// RoleHostOwnContents is such a one for VolumeSnapshotContents.
	RoleHostOwnContents = "garret-host-own-snapshotcontents"

	// RoleHostContents names the ClusterRole that gets VolumeSnapshotContents of the host by their
	// names, and the ClusterRoleBinding that lends it to syncers of volume snapshots.
	RoleHostContents = "garret-host-snapshotcontents"

	// RoleHostNodes names the ClusterRole that reads the host's nodes. It is bound to nobody:
	// an administrator binds it to the syncers that show nodes as they are.
	RoleHostNodes = "garret-host-nodes"

	// RoleHostDefinitions names the ClusterRole that reads CustomResourceDefinitions of the
	// host, and the ClusterRoleBinding that lends it to syncers of kinds with a rule.
	RoleHostDefinitions = "garret-host-definitions"

	// RoleCustomKinds names the ClusterRole by which garret-controller may write kinds of
	// CustomResourceDefinitions, and so may lend that to syncers. The host puts it together
	// from the ClusterRoles with the label LabelAggregateToCustomKinds and the value "true".
	RoleCustomKinds             = "garret-controller:custom-kinds"
	LabelAggregateToCustomKinds = "tenancy.garret.dev/aggregate-to-custom-kinds"

	// AnnotationStorageClass holds, on a PersistentVolume of the host, the class of the tenant's
	// volume that it stands for.
	AnnotationStorageClass = "garret.dev/storage-class"

	// AnnotationVirtualName, AnnotationVirtualNamespace and AnnotationVirtualUID
	// hold, on a synced host object, the identity of the object inside.
	AnnotationVirtualName      = "garret.dev/virtual-name"
	AnnotationVirtualNamespace = "garret.dev/virtual-namespace"
	AnnotationVirtualUID       = "garret.dev/virtual-uid"
	// AnnotationPassedAnnotations and AnnotationPassedLabels list, on a synced host object,
	// the keys of the tenant's that it has as they are, with commas between.
	AnnotationPassedAnnotations = "garret.dev/passed-annotations"
	AnnotationPassedLabels      = "garret.dev/passed-labels"
	// AnnotationIncarnation is, on a synced host object, the incarnation of the
	// control plane whose object it stands for: the UID of the namespace kube-system inside.
	AnnotationIncarnation = "garret.dev/incarnation"
	// AnnotationVirtualKind is the kind of the object inside, when it differs from the host object's.
	AnnotationVirtualKind = "garret.dev/virtual-kind"

	// AnnotationClusterID keeps, on the claim of a control plane, the id of the
	// virtual cluster, so that one made again on retained data takes up its objects.
	AnnotationClusterID = "tenancy.garret.dev/cluster-id"
	// AnnotationRecover on a VirtualCluster decides what becomes of host objects
	// whose objects inside were lost: one of the Recover verbs, a space, and a token
	// of the writer's choice. Each value is acted on once. With a space and
	// RecoverBeforehand at its end it decides the next loss, as before data are restored.
	AnnotationRecover = "tenancy.garret.dev/recover"
	// RecoverBeforehand ends a decision about the next loss.
	RecoverBeforehand = "beforehand"
	// RecoverAdopt makes what holds data again inside, with its data.
	RecoverAdopt = "adopt"
	// RecoverGiveUp deletes it on the host.
	RecoverGiveUp = "give-up"

	// AnnotationWake on a VirtualCluster ends the sleep whose number it says, unless spec.paused
	// asks for that sleep. A later sleep is not meant.
	AnnotationWake = "tenancy.garret.dev/wake"

	// ReleasePrefix stands before a VirtualCluster's name in the names of
	// everything that deploys it: release, StatefulSet, Service, ServiceAccount, Role.
	ReleasePrefix = "vc-"
	// MaxNameLength of a VirtualCluster: with the prefix, and the suffixes
	// that a StatefulSet adds to the labels of its pods, 63 characters are kept.
	MaxNameLength = 45

	// LocalHostCluster is the HostCluster that Garret itself runs on.
	LocalHostCluster = "local"

	// SystemNamespace is where Garret itself is installed.
	SystemNamespace = "garret-system"
	// CAConfigMap in the system namespace publishes, under CAConfigMapKey, the
	// certificate authority of garret-apiserver's client certificates.
	CAConfigMap    = "garret-apiserver-ca"
	CAConfigMapKey = "ca.crt"

	// GatewayConfigMap in the system namespace tells users where the gateway is:
	// under GatewayURLKey its address, and how to verify it, either under
	// CAConfigMapKey itself or under GatewayCAKey the name of the ConfigMap that has it.
	GatewayConfigMap = "garret-gateway"
	GatewayURLKey    = "url"
	GatewayCAKey     = "ca-configmap"

	// FieldManagerSyncer and FieldManagerController own their parts of the status.
	FieldManagerSyncer     = "garret-syncer"
	FieldManagerController = "garret-controller"
)

// Rights on the host that no API stands behind: RBAC grants them, and Garret asks for them.
const (
	// VerbUse on ResourcePodSecurityLevels lets somebody choose the level of that name
	// for the pods of a virtual cluster. Only privileged needs it.
	VerbUse                   = "use"
	ResourcePodSecurityLevels = "podsecuritylevels"
	// RolePrivilegedPods is the ClusterRole of the install chart that grants it.
	RolePrivilegedPods = "garret-privileged-pods"
)

// Ports of a virtual cluster's pod and Service.
const (
	// PortHTTPS is the port of the Service vc-NAME for the API server inside.
	PortHTTPS = 443
	// PortControlPlane is the port of the API server inside, on the pod.
	PortControlPlane = 6443
	// PortIssuer is where the syncer signs certificate requests of garret-apiserver, on pod and Service.
	PortIssuer = 8443
	// PortKubelet is where the syncer serves the kubelet's API.
	PortKubelet = 10250
	// PortWebhook is where the syncer serves admission, on loopback.
	PortWebhook = 9443
	// PortDNS is where CoreDNS answers, in pods of its own inside or in the syncer's. It is above those
	// that need a privilege: pods satisfy the strictest pod security of a host.
	PortDNS = 1053
	// PortHealth is where the syncer serves health, in the clear.
	PortHealth = 8080
)

// Identities inside a virtual cluster.
const (
	// HostUserPrefix stands before the name of every user and group of the host.
	HostUserPrefix = "host:"
	// RelayUser is the user whose only right is to impersonate.
	RelayUser = "garret:relay"
	// GroupPrefix begins the name of every group that Garret gives rights to.
	GroupPrefix = "garret:"
	// GroupAdmins is bound to cluster-admin.
	GroupAdmins = "garret:admins"
	// GroupViewers may read what holds no secret.
	GroupViewers = "garret:viewers"
	// KubeconfigPrefix begins, followed by a credential's id, the name of the
	// group of a kubeconfig and of the ClusterRoleBinding inside that gives it its rights.
	KubeconfigPrefix = "garret:kubeconfig:"
	// AccessPrefix begins the name of every ClusterRoleBinding inside that spec.access asks for.
	AccessPrefix = "garret:access:"
	// APIServerUser is the common name of garret-apiserver's client certificate.
	APIServerUser = "garret-apiserver"
)

// IssuerPath is where the syncer takes a CertificateRequest, by POST.
const IssuerPath = "/v1/certificates"

// SyncerMetricsPath is where the syncer serves its metrics, at the port of its issuer and
// to garret-apiserver alone.
const SyncerMetricsPath = "/metrics"

// MetricsPrefix is where garret-apiserver serves the metrics of syncers; NAMESPACE/NAME
// of the VirtualCluster follow.
const MetricsPrefix = "/metrics/virtualclusters/"

// CertificateRequest is the body of a request to the syncer's issuer.
type CertificateRequest struct {
	// Request is a PEM encoded PKCS#10 certificate request.
	Request []byte `json:"request"`
	// ExpirationSeconds is the life of the certificate in seconds, from 60 to 86400.
	ExpirationSeconds int64 `json:"expirationSeconds"`
	// Kubeconfig says whose the certificate is; nil for the relay's own.
	Kubeconfig *KubeconfigGrant `json:"kubeconfig,omitempty"`
	// DryRun has everything checked, and nothing made.
	DryRun bool `json:"dryRun,omitempty"`
}

// CertificateResponse is the issuer's answer.
type CertificateResponse struct {
	// Certificate is PEM encoded, and empty for a dry run.
	Certificate []byte `json:"certificate"`
}

// ReleaseName is the name of the Helm release of the virtual cluster of this
// name, and of every object that deploys it.
func ReleaseName(virtualCluster string) string { return ReleasePrefix + virtualCluster }

// WorkloadsAccount is the name of the ServiceAccount on the host that the pods of the
// virtual cluster run as. It has no rights. A virtual cluster's name has no dot, so that no
// other release has an object of that name.
func WorkloadsAccount(virtualCluster string) string {
	return ReleaseName(virtualCluster) + ".workloads"
}

// LineageName is the name of the ConfigMap in which the syncer of the virtual cluster
// of this name remembers, on the host, what the data inside were.
func LineageName(virtualCluster string) string { return ReleaseName(virtualCluster) + "-lineage" }

// ServerName is the DNS name that the serving certificates of a virtual
// cluster carry and that clients pin.
func ServerName(virtualCluster, namespace string) string {
	return ReleaseName(virtualCluster) + "." + namespace + ".svc"
}

// GatewayPrefix begins the path of every request to a virtual cluster on
// garret-apiserver's own address.
const GatewayPrefix = "/clusters/"

// GatewayPath is where the root of a virtual cluster is on garret-apiserver's
// own address, without a slash at the end.
func GatewayPath(virtualCluster, namespace string) string {
	return GatewayPrefix + namespace + "/" + virtualCluster
}

// StandingNodeLabels are the labels that every node inside has. They are the host's wherever
// that is known.
func StandingNodeLabels() []string {
	return []string{corev1.LabelHostname, corev1.LabelOSStable, corev1.LabelArchStable}
}

// ClusterAPISuffix ends the name of the Secret in which Cluster API looks for a kubeconfig.
const ClusterAPISuffix = "-kubeconfig"

// clusterIDDigits is the length of a cluster id.
const clusterIDDigits = 10

// ClusterID derives a virtual cluster's id, ten lower-case hexadecimal digits,
// from its UID, so that a name used again is another cluster. Only one that is made
// again on retained data has the earlier id: AnnotationClusterID.
func ClusterID(uid types.UID) string {
	sum := sha256.Sum256([]byte(uid))
	return hex.EncodeToString(sum[:])[:clusterIDDigits]
}

// IsClusterID says whether a text has the form of a virtual cluster's id.
func IsClusterID(text string) bool {
	return len(text) == clusterIDDigits && strings.Trim(text, "0123456789abcdef") == ""
}

// ControlPlaneLabels select the pod of a control plane on the host, by the name of its release.
func ControlPlaneLabels(release string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": "garret-virtual-cluster", "app.kubernetes.io/instance": release}
}
